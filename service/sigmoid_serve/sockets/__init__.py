"""Listening sockets, their connections, and TLS.

In: addresses, certificates, limits of connections. Out: accepted connections. May
import `configuration` and `errors`.
"""
