"""The commands that people type, and what they show in a terminal.

In: arguments and the environment. Out: an exit code, text, files. May import every
other package.
"""
