"""Tables that people bring: CSV in the shapes it has in the wild, and Parquet.

`reading` opens one; what it needs stands beside it. Imports only messages and types of
numbers of `sigmoid_models`; pyarrow is imported once a table is opened.
"""
