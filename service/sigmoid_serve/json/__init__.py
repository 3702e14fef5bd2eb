"""The text of JSON: whether it is JSON, where its parts are, what else it may be.

In: bytes. Out: the fields of an object, with arrays left as text. May import `errors`.
"""
