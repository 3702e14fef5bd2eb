"""When a worker that died is tried again, and when that is given up."""

import signal
from collections import Counter
from typing import Final

_LONGEST_PAUSE_SECONDS: Final = 60.0

# So many deaths in a row are no accident.
MOST_DEATHS: Final = 5


class Restarts:
    """Counts how often workers died before they served.

    Attributes:
        deaths: In a row, by the number of the worker.
    """

    def __init__(self) -> None:
        self.deaths: Counter[int] = Counter()

    def served(self, number: int) -> None:
        """Note that a worker serves."""
        del self.deaths[number]

    def died(self, number: int) -> float:
        """Note that a worker died before it served; return the seconds to wait."""
        self.deaths[number] += 1
        return min(2.0 ** (self.deaths[number] - 1), _LONGEST_PAUSE_SECONDS)


def ending(code: int | None) -> str:
    """Say how a process exited: its code, or the signal that ended it."""
    if code is None or code >= 0:
        return f"code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:  # most real-time signals have no name
        return f"signal {-code}"
