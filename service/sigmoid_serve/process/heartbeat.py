"""Whether workers still run, as memory tells that they share with their supervisor.

A worker counts on, on a thread of its own, so that a long computation does not look
like a standstill. No clock is compared with another, and the supervisor counts how
often it has looked: where all of them are stopped for a while, as a machine that
sleeps or a frozen container is, nobody has been silent.
"""

from ctypes import Array, c_uint64
from multiprocessing.sharedctypes import RawArray
from threading import Thread
from time import sleep
from typing import Final, NoReturn, TypeAlias

LOOK_SECONDS: Final = 1.0
"""Time between two looks of the supervisor."""

MOST_SILENT_LOOKS: Final = 10
"""A worker that is silent so many times in a row hangs."""

_BEAT_SECONDS: Final = 0.5

Beats: TypeAlias = "Array[c_uint64]"


def new_beats(workers: int) -> Beats:
    """Make memory that the workers share: how often each has counted on."""
    return RawArray(c_uint64, workers)


def begin_beating(beats: Beats, number: int) -> None:
    """Count on from now on, in the place of one worker."""
    Thread(target=_beat, args=(beats, number), daemon=True, name="heartbeat").start()


def _beat(beats: Beats, number: int) -> NoReturn:
    while True:
        beats[number] += 1
        sleep(_BEAT_SECONDS)


class Watch:
    """The supervisor's part.

    Args:
        beats: Of all workers.
    """

    def __init__(self, beats: Beats) -> None:
        self._beats = beats
        self._seen = [0] * len(beats)
        self._silent = [0] * len(beats)

    def hangs(self, number: int) -> bool:
        """Look at a worker; one that has not begun to count does not hang yet."""
        seen: int = self._beats[number]
        is_silent = seen == self._seen[number] != 0
        self._silent[number] = self._silent[number] + 1 if is_silent else 0
        self._seen[number] = seen
        return self._silent[number] >= MOST_SILENT_LOOKS

    def forget(self, number: int) -> None:
        """Begin anew, as another process takes the place of a worker."""
        self._beats[number] = self._seen[number] = self._silent[number] = 0
