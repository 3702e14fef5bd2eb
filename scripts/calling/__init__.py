"""Clients generated from `/openapi.json`, and what calls a server with them."""
