"""Protocols of other model servers, each over the same inference as the native API.

To remove one, remove its module and its name here.
"""
