"""Listening sockets, their connections, and TLS.

In: addresses, certificates, connection limits. Out: accepted connections. May import
`configuration`, `errors` and `sigmoid_models`.
"""
