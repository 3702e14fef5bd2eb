"""What the simulation is given of measured rounds.

Service times come of the closed loops and the requests alone, how fast the core was of
what the server says that parsing and encoding took.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median
from typing import Any, Final, NamedTuple

import numpy as np

from simulating import service_times
from simulating.loads import Saturated
from simulating.rounds import SHARES, Closed, Round
from simulating.service_times import Point, ServiceTimes, fit
from simulating.speed import STEP_SECONDS, Floats, speed_of, steps_of

# Of the speed, for fleets.
_KEPT_SECONDS: Final = 30.0
# Of logarithms of the handling; below, the core was too steady to tell the exponent.
_LEAST_SPREAD: Final = 0.02


class Model(NamedTuple):
    """What was made of closed loops, and of requests that were alone.

    Attributes:
        times: Of a core of speed 1.
        handling: Seconds to parse a request and to encode its answer at speed 1.
        exponent: Of the speed at which that is done, for all that a server does.
    """

    times: ServiceTimes
    handling: float
    exponent: float

    def steps(self, moments: Floats, handling: Floats, end: float) -> Floats:
        """Return the speed of each step from 0 to an end."""
        found = steps_of(moments, handling / self.handling, end)
        return np.asarray(found**self.exponent)


def model_of(rounds: Sequence[Round]) -> Model:
    """Make what the simulation needs of the closed loops and the requests alone."""
    by_count = [*zip(*(each.closed for each in rounds), strict=True)]
    exponent = _exponent_of(by_count)
    loads = [loop.load for each in rounds for loop in each.closed]
    handling = float(np.median(np.concatenate([load.handling for load in loads])))
    model = Model(ServiceTimes((1.0,), (0.0,), 1.0), handling, exponent)
    points = [
        Point(
            outstanding=same[0].outstanding,
            rate=median(
                loop.load.rate / _mean_speed(model, loop.load) for loop in same
            ),
            batch=fmean(loop.batch for loop in same),
            gap=median(loop.load.gap for loop in same),
        )
        for same in by_count
    ]
    alone = [
        float(np.median(each.seconds * (handling / each.handling) ** exponent))
        for each in (each.alone for each in rounds)
    ]
    sending = median(each.alone.sending for each in rounds)
    return model._replace(times=fit(points, median(alone), sending))


def _exponent_of(by_count: Sequence[Sequence[Closed]]) -> float:
    """Compare rates with the handling: both change with the core's speed."""
    speeds, rates = [], []
    for same in by_count:
        speed = -np.log([loop.load.handling.mean() for loop in same])
        rate = np.log([loop.load.rate for loop in same])
        speeds.append(speed - speed.mean())
        rates.append(rate - rate.mean())
    x, y = np.concatenate(speeds), np.concatenate(rates)
    return float(x @ y / (x @ x)) if x.std() > _LEAST_SPREAD else 1.0


def _mean_speed(model: Model, load: Saturated) -> float:
    moments = load.moments - load.start
    return float(model.steps(moments, load.handling, load.end - load.start).mean())


def speeds_of(rounds: Sequence[Round], model: Model, share: float) -> list[Floats]:
    """Return the speed of each step of the rounds' open loops at a share."""
    found = []
    for each in rounds:
        opened = each.opened[share]
        moments = each.arrivals[share] + opened.seconds
        found.append(model.steps(moments, opened.handling, float(moments.max())))
    return found


def document(rounds: Sequence[Round], model: Model) -> dict[str, Any]:
    """Write for JSON what fleets are simulated with.

    Of the speed there are some seconds of each round's highest open loop. Where a
    server has less to do it is slower, as it finds its caches colder: `warmth` is its
    usual speed at each share, relative to that at the highest.
    """
    kept = round(_KEPT_SECONDS / len(rounds) / STEP_SECONDS)
    usual = {
        share: float(np.median(np.concatenate(speeds_of(rounds, model, share))))
        for share in SHARES
    }
    return {
        "times": service_times.document(model.times),
        "exponent": model.exponent,
        "warmth": {f"{share:g}": usual[share] / usual[SHARES[-1]] for share in SHARES},
        "speed": [
            float(f"{speed:.2f}")
            for steps in speeds_of(rounds, model, SHARES[-1])
            for speed in steps[:kept].tolist()
        ],
    }


def from_document(found: Mapping[str, Any]) -> tuple[ServiceTimes, dict[float, float]]:
    """Read service times with their speed from JSON, and the warmth by share."""
    speed = speed_of(np.array(found["speed"]), STEP_SECONDS)
    times = replace(service_times.from_document(found["times"]), speed=speed)
    return times, {float(share): each for share, each in found["warmth"].items()}
