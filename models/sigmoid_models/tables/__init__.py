"""Tables that people bring: CSV in the shapes it has in the wild, and Parquet.

`reading` opens one, `writing` writes one; what they need stands beside them. Imports
only messages and types of numbers of `sigmoid_models`, and its `output`; pyarrow is
imported once a table is opened.
"""
