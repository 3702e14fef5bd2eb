"""How long a server computes: what it was measured to take, as the simulation draws it.

A worker of the service is one queue with one server that works in turns: a turn takes
all requests that have arrived, computes their rows in one batch, and writes all
answers at its end, one after the other. How long a turn takes depends on how many
requests wait when it begins. A turn that wakes the process takes longer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from statistics import median
from typing import Any, Final, NamedTuple

import numpy as np

from simulating.speed import EVEN, Floats, Speed

# Below this share of what waits, a batch was full: the engine has a limit of rows.
_FULL: Final = 0.6
# From this share of a full batch on, one is as good as full.
_NEARLY: Final = 0.95
# Of two points that have almost as many requests in a batch, one is enough.
_APART: Final = 0.3


class Point(NamedTuple):
    """A closed loop without pauses.

    Attributes:
        outstanding: Requests that are under way at any moment.
        rate: Requests for each second of a core of speed 1.
        batch: Mean number of requests of a batch; a long one may be split.
        gap: Median seconds between two answers.
    """

    outstanding: int
    rate: float
    batch: float
    gap: float


@dataclass(frozen=True)
class ServiceTimes:
    """What a turn takes.

    Attributes:
        counts: Of requests that wait when a turn begins, ascending.
        seconds: Mean of such a turn at speed 1; between two counts, on the line.
        most: Requests of a turn, at most; may be no whole number.
        wake: Seconds longer for a turn that wakes the process.
        gap: Seconds between the answers of a turn.
        sending: Seconds from when a request leaves until it has arrived.
        speed: Of the core.
    """

    counts: tuple[float, ...]
    seconds: tuple[float, ...]
    most: float
    wake: float = 0.0
    gap: float = 0.0
    sending: float = 0.0
    speed: Speed = EVEN

    @property
    def capacity(self) -> float:
        """The most requests per second that a core of speed 1 answers."""
        count = min(self.most, self.counts[-1])
        return count / float(self.turn(count))

    def turn(self, count: Floats | float) -> Floats:
        """Return the mean seconds of turns before which so many requests wait."""
        return along(count, self.counts, self.seconds)


def fit(points: Sequence[Point], alone: float, sending: float) -> ServiceTimes:
    """Make service times of closed loops, and of requests that were alone.

    Args:
        points: Of at least two requests each, so that the server never waits.
        alone: Seconds of a request that was alone, on a core of speed 1.
        sending: Seconds of them until the request had arrived.
    """
    largest = max(points, key=lambda point: point.outstanding)
    most = largest.batch if _is_full(largest) else inf
    counts, seconds = [0.0], [0.0]
    for point in sorted(points, key=lambda point: point.batch):
        if counts[-1] + _APART < point.batch < _NEARLY * most:
            counts.append(point.batch)
            seconds.append(max(seconds[-1], _turn(point)))
    counts, seconds = counts[1:], seconds[1:]
    if most < inf:
        # Once a batch is full, a turn takes no longer whatever waits.
        full = [point for point in points if point.batch >= _NEARLY * most]
        longest = max([*seconds, median(_turn(point) for point in full)])
        counts, seconds = [*counts, most, 2 * most], [*seconds, longest, longest]
    one = float(along(1.0, counts, seconds))
    return ServiceTimes(
        counts=tuple(counts),
        seconds=tuple(seconds),
        most=most,
        wake=max(0.0, alone - sending - one),
        # Where a batch is limited, most gaps are between turns.
        gap=0.0 if most < inf else largest.gap,
        sending=sending,
    )


def _turn(point: Point) -> float:
    return point.batch / point.rate


def _is_full(point: Point) -> bool:
    """Tell whether more waited than went into a batch.

    Two requests may also take turns, each alone in its batch.
    """
    return 1.5 < point.batch < _FULL * point.outstanding


def along(
    place: Floats | float,
    places: Sequence[float] | Floats,
    values: Sequence[float] | Floats,
) -> Floats:
    """Interpolate, and beyond both ends go on along the line of the two outermost."""
    x, y = np.asarray(places, float), np.asarray(values, float)
    if len(x) == 1:
        return np.broadcast_to(y[0], np.shape(place)).astype(float)
    found = np.interp(place, x, y)
    for end, next_, is_beyond in ((0, 1, place < x[0]), (-1, -2, place > x[-1])):
        slope = (y[end] - y[next_]) / (x[end] - x[next_])
        found = np.where(is_beyond, y[end] + slope * (place - x[end]), found)
    return np.asarray(found)


def document(times: ServiceTimes) -> dict[str, Any]:
    """Write service times for JSON, which knows no infinity; without the speed."""
    return {
        "counts": times.counts,
        "seconds": times.seconds,
        "most": times.most if isfinite(times.most) else None,
        "wake": times.wake,
        "gap": times.gap,
        "sending": times.sending,
    }


def from_document(found: Mapping[str, Any]) -> ServiceTimes:
    """Read service times from JSON."""
    return ServiceTimes(
        counts=tuple(found["counts"]),
        seconds=tuple(found["seconds"]),
        most=found["most"] or inf,
        wake=found["wake"],
        gap=found["gap"],
        sending=found["sending"],
    )
