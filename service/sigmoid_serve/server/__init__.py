"""From connected sockets to whole requests, and from responses to bytes on the wire.

In: bytes of connections. Out: short inference requests to `inference`, all others to
the ASGI application; responses as bytes. What is slow, silent or too much ends here.
May import `sockets`, `http` and what is below them.
"""
