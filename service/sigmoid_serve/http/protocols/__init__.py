"""Protocols of other model servers, each over the same inference as the native API.

To remove one, remove its package and its name in `table`.
"""
