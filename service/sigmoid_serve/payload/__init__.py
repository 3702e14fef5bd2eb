"""Bytes to arrays and back: JSON, records, `.npy`.

In: bytes or text of JSON. Out: arrays with their shapes, or the first error in document
order; and the reverse. Shape, type, finiteness and size are checked here and nowhere
else. May import `json`, `errors` and `sigmoid_models`.
"""
