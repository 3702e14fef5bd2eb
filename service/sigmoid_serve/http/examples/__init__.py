"""Examples in `/openapi.json`: requests, and what the server really answers to them."""
