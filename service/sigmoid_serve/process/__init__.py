"""The processes of a service: a single one, or a supervisor and its workers.

In: settings, paths, signals. Out: processes that serve the same models, are updated all
or none, and shut down together. May import `server` and what is below it.
"""
