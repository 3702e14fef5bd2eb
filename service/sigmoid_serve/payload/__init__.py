"""Bytes to arrays and back: JSON, records, `.npy`.

In: bytes or text of JSON. Out: arrays with their shapes, or the first error in document
order; and the reverse. The one judge of shape, type, finiteness and size. May import
`json`, `errors` and `sigmoid_models`.
"""
