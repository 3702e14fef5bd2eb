"""Rows of features to logits and labels, on one device, in common batches.

In: arrays of rows from many requests. Out: to each request its own rows, equal rows
with equal bits. Knows no bytes and no web. May import `admission`, `errors` and
`sigmoid_models`.
"""
