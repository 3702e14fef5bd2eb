"""The processes that serve: one alone, or a supervisor and its worker processes.

In: settings, paths, signals. Out: processes that serve the same models, changed in all
of them or in none, and ended together. May import `server` and what is below it.
"""
