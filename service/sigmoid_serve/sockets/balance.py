"""How the connections spread over several workers: to whoever has the fewest.

All workers wait at one listener, and the kernel wakes all of them. Whoever is first
would take whatever has arrived, and might answer all while the others have nothing to
do.
"""

from collections.abc import Iterable
from ctypes import Array, c_int
from multiprocessing.sharedctypes import RawArray
from typing import Final

NOBODY: Final = 2**30
"""In place of the count of a worker that takes in no connections."""


def new_counts(workers: int) -> "Array[c_int]":
    """Make memory that the workers share: the connections of each."""
    return RawArray(c_int, [NOBODY] * workers)


class Balance:
    """One worker's part.

    Args:
        counts: That all workers share; only this worker writes to its place.
        number: Of the worker.
    """

    def __init__(self, counts: "Array[c_int]", number: int) -> None:
        self._counts = counts
        self._number = number

    def start(self) -> None:
        """Take part from now on, without a connection so far."""
        self._counts[self._number] = 0

    def opened(self) -> None:
        """Count a connection that this worker has taken in."""
        self._counts[self._number] += 1

    def closed(self) -> None:
        """Count one less."""
        self._counts[self._number] -= 1

    def is_above_the_fewest(self) -> bool:
        """Tell whether another worker has fewer connections."""
        counts: Iterable[int] = self._counts
        return self._counts[self._number] > min(counts)

    def stop(self) -> None:
        """Take in none any more, so that the others do not wait for it."""
        self._counts[self._number] = NOBODY
