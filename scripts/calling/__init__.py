"""Clients that are not made for this server, and what calls it with them."""
