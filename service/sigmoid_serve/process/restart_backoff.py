"""Exponential backoff of restarts, for workers that exit before they serve."""

import signal
from collections import Counter
from typing import Final

_MAX_PAUSE_SECONDS: Final = 60.0

# After so many exits in a row the service is given up, if no worker serves.
MAX_EXITS: Final = 5


class RestartBackoff:
    """Counts how often workers exited before they served.

    Attributes:
        exits: In a row, by the number of the worker.
    """

    def __init__(self) -> None:
        self.exits: Counter[int] = Counter()

    def reset(self, number: int) -> None:
        """Note that a worker serves."""
        del self.exits[number]

    def next_pause(self, number: int) -> float:
        """Count an exit before the worker served; return the seconds to wait."""
        self.exits[number] += 1
        return min(2.0 ** (self.exits[number] - 1), _MAX_PAUSE_SECONDS)


def describe_exit(code: int | None) -> str:
    """Write how a process exited."""
    if code is None or code >= 0:
        return f"code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:  # most real-time signals have no name
        return f"signal {-code}"
