"""Heartbeats of the workers, in memory that they share with the supervisor.

A worker counts its beats on a thread of its own, so that a long computation does not
look like a hang. No clocks are compared, and the supervisor counts its checks, not
seconds: if all processes are stopped for a while, as when the machine sleeps or the
container is frozen, no beat has been missed.
"""

from ctypes import Array, c_uint64
from multiprocessing.sharedctypes import RawArray
from threading import Thread
from time import sleep
from typing import Final, NoReturn, TypeAlias

CHECK_SECONDS: Final = 1.0
"""Time between two checks by the supervisor."""

MAX_MISSED_BEATS: Final = 10
"""A worker without a beat in so many checks in a row hangs."""

_BEAT_SECONDS: Final = 0.5

Heartbeats: TypeAlias = "Array[c_uint64]"


def new_heartbeats(workers: int) -> Heartbeats:
    """Make the shared memory: the number of beats of each worker."""
    return RawArray(c_uint64, workers)


def start_heartbeat(heartbeats: Heartbeats, number: int) -> None:
    """Start the beats of one worker, on a thread."""
    Thread(
        target=_beat, args=(heartbeats, number), daemon=True, name="heartbeat"
    ).start()


def _beat(heartbeats: Heartbeats, number: int) -> NoReturn:
    while True:
        heartbeats[number] += 1
        sleep(_BEAT_SECONDS)


class HeartbeatMonitor:
    """Checks the heartbeats of the workers, for the supervisor.

    Args:
        heartbeats: Of all workers.
    """

    def __init__(self, heartbeats: Heartbeats) -> None:
        self._heartbeats = heartbeats
        self._seen = [0] * len(heartbeats)
        self._missed = [0] * len(heartbeats)

    def hangs(self, number: int) -> bool:
        """Check a worker; one without a first beat does not hang yet."""
        seen: int = self._heartbeats[number]
        is_missed = seen == self._seen[number] != 0
        self._missed[number] = self._missed[number] + 1 if is_missed else 0
        self._seen[number] = seen
        return self._missed[number] >= MAX_MISSED_BEATS

    def forget(self, number: int) -> None:
        """Start again from zero, as another process takes the place of a worker."""
        self._heartbeats[number] = self._seen[number] = self._missed[number] = 0
