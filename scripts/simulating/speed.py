"""How fast a core is from moment to moment, as the simulation draws it.

A core computes now faster, now slower, and at times not for the server at all: others
share its processor, or the machine under a virtual one. A turn that takes 1 ms takes
2 ms in a slow phase, and so do all behind it, which is most of a tail. The server shows
the phases: it says of each request how long it took to parse it and to encode its
answer, which is the same work each time where all requests are the same.
"""

from bisect import bisect_left
from dataclasses import dataclass, field
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STEP_SECONDS: Final = 5e-3


@dataclass(frozen=True, eq=False)
class Speed:
    """What a core has computed by when; it goes on from the start again at the end.

    Attributes:
        step: Seconds between two values.
        work: Computed by then, ascending from 0, in seconds at speed 1.
    """

    step: float = 1.0
    work: list[float] = field(default_factory=lambda: [0.0, 1.0])

    @property
    def length(self) -> float:
        """Seconds until it goes on from the start."""
        return self.step * (len(self.work) - 1)

    @property
    def mean(self) -> float:
        """The mean speed."""
        return self.work[-1] / self.length


EVEN: Final = Speed()


def speed_of(steps: Floats, step: float) -> Speed:
    """Make a speed.

    Args:
        steps: The speed of each step.
        step: Seconds.
    """
    return Speed(step, [0.0, *(steps.cumsum() * step).tolist()])


def steps_of(moments: Floats, taken: Floats, end: float) -> Floats:
    """Find how fast a core was, from requests that are the same work.

    Args:
        moments: When each was answered, in seconds from the start.
        taken: What it took, as a share of what it takes at speed 1.
        end: Seconds.

    Returns:
        The speed of each step of `STEP_SECONDS`; where nothing was answered, on the
        line between those around it.
    """
    count = max(1, ceil(end / STEP_SECONDS))
    places = np.clip((moments / STEP_SECONDS).astype(int), 0, count - 1)
    answers = np.bincount(places, minlength=count)
    spent = np.bincount(places, taken, count)
    known = np.flatnonzero(answers)
    return np.interp(np.arange(count), known, answers[known] / spent[known])


class Clock:
    """Says when work ends on one core.

    Args:
        speed: Of the core.
        offset: Seconds in it at which time begins.
    """

    def __init__(self, speed: Speed, offset: float) -> None:
        self._step, self._work = speed.step, speed.work
        self._length, self._whole = speed.length, speed.work[-1]
        self._offset = offset

    def after(self, now: float, work: float) -> float:
        """Return when work that begins now has been done.

        Args:
            now: Seconds.
            work: Seconds that it takes at speed 1.
        """
        done = self._work
        place = (now + self._offset) % self._length
        before = min(int(place / self._step), len(done) - 2)
        share = place / self._step - before
        target = done[before] + share * (done[before + 1] - done[before]) + work
        laps, target = divmod(target, self._whole)
        end = max(1, bisect_left(done, target))
        steep = done[end] - done[end - 1]
        share = (target - done[end - 1]) / steep if steep else 0.0
        at = (end - 1 + share) * self._step
        return max(now, now - place + laps * self._length + at)
