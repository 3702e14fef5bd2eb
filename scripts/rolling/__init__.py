"""Rolling restarts as a cluster does them, of processes instead of containers."""


class RolloutError(Exception):
    """What ends the run, in one sentence."""
