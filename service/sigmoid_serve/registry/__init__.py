"""The models in memory: loaded, verified, and reloaded while they serve.

In: checkpoint files that `registry` found. Out: versions that are ready, and whether
this process is. May import `registry`, `monitoring`, `engine` and what is below them.
"""
