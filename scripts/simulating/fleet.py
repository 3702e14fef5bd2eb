"""Replicas behind a balancer, event by event.

Each replica works in turns as `service_times` says. Nothing else is in the model: the
balancer knows at once what it has sent and what has been answered, and costs nothing.
"""

from collections import deque
from heapq import heappop, heappush
from typing import Final, NamedTuple

import numpy as np

from simulating.balancing import BALANCERS, Balancer
from simulating.service_times import ServiceTimes
from simulating.speed import Clock, Floats

_TABLE: Final = 4096


class Answered(NamedTuple):
    """What became of requests.

    Attributes:
        seconds: From the arrival to the answer, of each, in their order.
        busy: The share of its time in which a replica computed, on average.
        batch: Mean number of requests of a turn.
    """

    seconds: Floats
    busy: float
    batch: float


def answered(
    arrivals: Floats,
    replicas: int,
    balancing: str,
    times: ServiceTimes,
    rng: np.random.Generator,
    offset: float | None = None,
) -> Answered:
    """Answer requests.

    Args:
        arrivals: Seconds at which requests arrive, ascending.
        replicas: How many.
        balancing: A name of `balancing.BALANCERS`.
        times: Of each replica.
        rng: Draws choices, and where in the course of its speed each replica begins.
        offset: Seconds in that course at which all begin instead.
    """
    balancer = BALANCERS[balancing](replicas, len(arrivals), rng)
    offsets = rng.random(replicas) * times.speed.length
    if offset is not None:
        offsets[:] = offset
    return _Fleet(balancer, times, offsets).run(arrivals)


class _Fleet:
    def __init__(
        self, balancer: Balancer, times: ServiceTimes, offsets: Floats
    ) -> None:
        replicas = len(offsets)
        self._balancer = balancer
        self._times = times
        self._waiting: list[deque[int]] = [deque() for _ in range(replicas)]
        self._taken: list[list[int]] = [[] for _ in range(replicas)]
        self._credit = [0.0] * replicas
        self._is_awake = [False] * replicas
        self._events: list[tuple[float, int]] = []
        self._clocks = [Clock(times.speed, offset) for offset in offsets.tolist()]
        # A turn's mean seconds by how many wait.
        self._turns: list[float] = times.turn(np.arange(_TABLE, dtype=float)).tolist()
        self._busy = 0.0
        self._number_of_turns = 0

    def run(self, arrivals: Floats) -> Answered:
        self._ends = np.zeros(len(arrivals))
        events, sending, wake = self._events, self._times.sending, self._times.wake
        for number, due in enumerate(arrivals.tolist()):
            now = due + sending
            while events and events[0][0] <= now:
                self._turn(*heappop(events))
            replica = self._balancer.choose()
            self._waiting[replica].append(number)
            if not self._is_awake[replica]:
                self._is_awake[replica] = True
                heappush(events, (now + wake, replica))
        while events:
            self._turn(*heappop(events))
        count, whole = len(self._taken), float(self._ends.max() - arrivals[0])
        return Answered(
            self._ends - arrivals,
            self._busy / whole / count,
            len(arrivals) / self._number_of_turns,
        )

    def _turn(self, now: float, replica: int) -> None:
        """End a replica's turn; begin the next, or let it sleep."""
        waiting, taken = self._waiting[replica], self._taken[replica]
        if taken:
            self._balancer.answered(replica, len(taken))
            taken.clear()
        backlog = len(waiting)
        if not backlog:
            self._is_awake[replica] = False
            self._credit[replica] = 0.0
            return
        count = backlog
        if self._times.most < backlog:
            # Of a request that is split, the rest is in the next batch.
            self._credit[replica] += self._times.most
            count = min(backlog, int(self._credit[replica]))
            self._credit[replica] -= count
        place = min(backlog, _TABLE - 1)
        end = self._clocks[replica].after(now, self._turns[place])
        self._busy += end - now
        self._number_of_turns += 1
        for left in range(count - 1, -1, -1):
            number = waiting.popleft()
            taken.append(number)
            self._ends[number] = max(now, end - left * self._times.gap)
        heappush(self._events, (end, replica))
