"""The service under faults: overload, kills, swaps, slow and vanishing clients."""


class FaultError(Exception):
    """What ends the run of the faults, in one sentence."""
