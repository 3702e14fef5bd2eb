"""Which replica gets the next request."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import numpy as np

# For each replica, of all clients together.
CONNECTIONS: Final = 32


class Balancer(Protocol):
    """Chooses replicas."""

    def choose(self) -> int:
        """Name the replica that gets the request that has just arrived."""

    def answered(self, replica: int, count: int) -> None:
        """Learn that a replica has answered so many requests."""


class Random:
    """Any replica; so it is too where each has as many connections as another."""

    def __init__(self, replicas: int, requests: int, rng: np.random.Generator) -> None:
        self._drawn = iter(rng.integers(replicas, size=requests).tolist())

    def choose(self) -> int:
        """Name any."""
        return int(next(self._drawn))

    def answered(self, replica: int, count: int) -> None:
        """Know nothing."""


class Connections:
    """That of its connection, for which a replica was chosen at random once.

    So does kube-proxy. Some replicas have more connections than others.
    """

    def __init__(self, replicas: int, requests: int, rng: np.random.Generator) -> None:
        places = rng.integers(replicas, size=CONNECTIONS * replicas)
        asking = rng.integers(len(places), size=requests)
        self._drawn = iter(places[asking].tolist())

    def choose(self) -> int:
        """Name that of any connection."""
        return int(next(self._drawn))

    def answered(self, replica: int, count: int) -> None:
        """Know nothing."""


class RoundRobin:
    """One after the other."""

    def __init__(self, replicas: int, requests: int, rng: np.random.Generator) -> None:
        self._replicas = replicas
        self._next = -1

    def choose(self) -> int:
        """Name the next."""
        self._next = (self._next + 1) % self._replicas
        return self._next

    def answered(self, replica: int, count: int) -> None:
        """Know nothing."""


class TwoChoices:
    """The one of two at random that has fewer requests, as Ray Serve chooses."""

    def __init__(self, replicas: int, requests: int, rng: np.random.Generator) -> None:
        pairs = rng.integers(replicas, size=(requests, 2)).tolist()
        self._drawn = iter(pairs)
        self._outstanding = [0] * replicas

    def choose(self) -> int:
        """Name the better of two."""
        one, other = next(self._drawn)
        outstanding = self._outstanding
        chosen = int(one if outstanding[one] <= outstanding[other] else other)
        outstanding[chosen] += 1
        return chosen

    def answered(self, replica: int, count: int) -> None:
        """Count."""
        self._outstanding[replica] -= count


class LeastOutstanding:
    """One of those with the fewest requests, as nginx and HAProxy choose."""

    def __init__(self, replicas: int, requests: int, rng: np.random.Generator) -> None:
        self._drawn = iter(rng.random(requests).tolist())
        self._outstanding = [0] * replicas
        # By number of outstanding requests, the replicas, in any order; and where in
        # that list each replica is.
        self._levels: list[list[int]] = [list(range(replicas))]
        self._places = list(range(replicas))

    def choose(self) -> int:
        """Name any of those with the fewest."""
        level = next(level for level in self._levels if level)
        chosen = level[int(next(self._drawn) * len(level))]
        self._move(chosen, 1)
        return chosen

    def answered(self, replica: int, count: int) -> None:
        """Count."""
        self._move(replica, -count)

    def _move(self, replica: int, by: int) -> None:
        level = self._levels[self._outstanding[replica]]
        place, last = self._places[replica], level.pop()
        if last != replica:
            level[place] = last
            self._places[last] = place
        self._outstanding[replica] += by
        while len(self._levels) <= self._outstanding[replica]:
            self._levels.append([])
        level = self._levels[self._outstanding[replica]]
        self._places[replica] = len(level)
        level.append(replica)


BALANCERS: Final[Mapping[str, Callable[[int, int, np.random.Generator], Balancer]]] = {
    "connections": Connections,
    "random": Random,
    "round robin": RoundRobin,
    "two choices": TwoChoices,
    "least outstanding": LeastOutstanding,
}
