"""The commands that people type, and what they show in a terminal.

In: arguments and the environment. Out: an exit code, text, files. May import every
other package, those that are slow to import only where a command runs.
"""
