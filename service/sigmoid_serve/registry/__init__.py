"""The models in memory: loaded, verified, reloaded and unloaded while others serve.

In: checkpoint files that `repository` found. Out: versions that are ready, and whether
this process is. May import `repository`, `monitoring`, `engine` and what is below them.
"""
