"""The models in memory: loaded, checked, swapped while they serve.

In: files that `repository` found. Out: versions that are ready, and whether this
process is. May import `repository`, `monitoring`, `engine` and what is below them.
"""
