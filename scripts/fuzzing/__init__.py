"""Fuzzing of the service: good inputs, damage to them, and who judges the outcome."""


class FuzzError(Exception):
    """What ends a run before its time, in one sentence."""
