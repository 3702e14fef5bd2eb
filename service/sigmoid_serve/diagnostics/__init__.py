"""Diagnostics for operators: the doctor, and the address of a running server.

In: settings, the machine and its processes. Out: findings in words, and an address. May
import `sockets`, `http`, `registry`, `repository`, `monitoring`, `engine` and what is
below them.
"""
