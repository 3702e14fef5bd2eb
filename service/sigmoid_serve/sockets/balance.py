"""Balance of the connections between workers: the one with the fewest accepts.

All workers wait on the same listeners, and the kernel wakes all of them. The first to
wake would accept everything, and might serve it all while the others have nothing to
do.
"""

from collections.abc import Iterable
from ctypes import Array, c_int
from multiprocessing.sharedctypes import RawArray
from typing import Final

NOT_ACCEPTING: Final = 2**30
"""In place of the count of a worker that accepts no connections."""


def new_counts(workers: int) -> "Array[c_int]":
    """Make the shared memory: the number of connections of each worker."""
    return RawArray(c_int, [NOT_ACCEPTING] * workers)


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
        """Take part from now on, without connections so far."""
        self._counts[self._number] = 0

    def opened(self) -> None:
        """Count a connection that this worker has accepted."""
        self._counts[self._number] += 1

    def closed(self) -> None:
        """Count one connection less."""
        self._counts[self._number] -= 1

    def is_above_the_fewest(self) -> bool:
        """Tell whether another worker has fewer connections."""
        counts: Iterable[int] = self._counts
        return self._counts[self._number] > min(counts)

    def stop(self) -> None:
        """Accept no more, so that the other workers do not wait for this one."""
        self._counts[self._number] = NOT_ACCEPTING
