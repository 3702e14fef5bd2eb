"""The text of JSON: whether it is valid, where its values are, what else it may be.

In: bytes. Out: the fields of an object, with arrays left as text. May import `errors`.
"""
