"""Whether the simulation foretells one replica that is asked at fixed rates.

Each round measures closed loops, and requests alone, which make the service times; then
it asks at 30, 60 and 80 % of the rate that the closed loops came to. The simulation
gets the service times, the moments of arrival, and how fast the core was meanwhile:
what the server says that parsing and encoding took. It gets nothing of what waited.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean, median
from typing import Any, Final, NamedTuple

import numpy as np

from benchmark.networks.through_http import batches
from benchmark.servers import Server
from simulating import service_times
from simulating.fleet import answered
from simulating.kinds import Kind
from simulating.loads import (
    Alone,
    Opened,
    Saturated,
    open_loop,
    poisson,
    saturated,
    unloaded,
)
from simulating.service_times import Point, ServiceTimes, fit
from simulating.speed import STEP_SECONDS, Floats, speed_of, steps_of

SHARES: Final = (0.3, 0.6, 0.8)
MOST_OFF: Final[Mapping[str, float]] = {"p50": 0.15, "p99": 0.30}
QUANTILES: Final[Mapping[str, float]] = {"p50": 0.5, "p99": 0.99}
OUTSTANDING: Final = (2, 3, 4, 6, 8, 12, 16, 32, 64)
# As many are kept in each load, so that a server finds them as cold as under another.
CONNECTIONS: Final = 128
_WARM_UP_SECONDS: Final = 2.0
_CLOSED_SECONDS: Final = 0.5
_ALONE_SECONDS: Final = 1.0
# Of the speed, for fleets.
_KEPT_SECONDS: Final = 30.0
# Of logarithms of the handling; below, the core was too steady to tell the exponent.
_LEAST_SPREAD: Final = 0.02
Show = Callable[[str], None]


class Compared(NamedTuple):
    """One quantile of one load.

    Attributes:
        share: Of the capacity.
        quantile: `p50` or `p99`.
        measured: Median of the rounds, seconds.
        simulated: The same of the simulation.
        offs: Simulated ÷ measured, less 1: a quarter of the rounds is below the first,
            a half below the second, three quarters below the third.
    """

    share: float
    quantile: str
    measured: float
    simulated: float
    offs: tuple[float, float, float]

    @property
    def is_met(self) -> bool:
        """Whether the simulation is as near as it must be."""
        return abs(self.offs[1]) <= MOST_OFF[self.quantile]


class Closed(NamedTuple):
    """A closed loop.

    Attributes:
        outstanding: Requests that were under way at any moment.
        batch: Mean number of requests of a batch.
        load: What it came to.
    """

    outstanding: int
    batch: float
    load: Saturated


class Round(NamedTuple):
    """What was measured once.

    Attributes:
        closed: Loops, from few to many outstanding requests.
        alone: Requests that were alone.
        arrivals: By share, when requests were due.
        opened: By share, what came of them.
    """

    closed: list[Closed]
    alone: Alone
    arrivals: dict[float, Floats]
    opened: dict[float, Opened]


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


def measure_rounds(
    server: Server, kind: Kind, seconds: float, number: int, show: Show
) -> list[Round]:
    """Measure a server, round by round.

    Args:
        server: Alone on its core.
        kind: Of request.
        seconds: Of each open loop.
        number: Of rounds.
        show: Is told what is measured.
    """
    message = kind.make().message()
    saturated(server.port, message, 16, CONNECTIONS, _WARM_UP_SECONDS)
    rounds: list[Round] = []
    rng = np.random.default_rng(0)
    for each in range(number):
        show(f"{kind.shown}, round {each + 1} of {number}")
        closed = [_closed(server, kind, message, count) for count in OUTSTANDING]
        rate = closed[-1].load.rate
        alone = unloaded(
            server.port, message, CONNECTIONS, 2 / rate, _ALONE_SECONDS, rng
        )
        arrivals = {share: poisson(share * rate, seconds, rng) for share in SHARES}
        opened = {
            share: open_loop(server.port, message, moments, CONNECTIONS)
            for share, moments in arrivals.items()
        }
        rounds.append(Round(closed, alone, arrivals, opened))
    return rounds


def _closed(server: Server, kind: Kind, message: bytes, count: int) -> Closed:
    before = batches(server)
    load = saturated(server.port, message, count, CONNECTIONS, _CLOSED_SECONDS)
    after = batches(server)
    rows, number = (after[name] - before[name] for name in ("sum", "count"))
    return Closed(count, rows / number / kind.rows, load)


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


def compared(rounds: Sequence[Round], model: Model) -> list[Compared]:
    """Compare what was measured and simulated, round by round."""
    found: list[Compared] = []
    rng = np.random.default_rng(1)
    for share in SHARES:
        simulated = []
        for each, steps in zip(rounds, speeds_of(rounds, model, share), strict=True):
            times = replace(model.times, speed=speed_of(steps, STEP_SECONDS))
            result = answered(each.arrivals[share], 1, "random", times, rng, offset=0.0)
            simulated.append(result.seconds)
        for name, quantile in QUANTILES.items():
            one = np.array(
                [np.quantile(each.opened[share].seconds, quantile) for each in rounds]
            )
            other = np.array([np.quantile(seconds, quantile) for seconds in simulated])
            low, middle, high = np.quantile(other / one - 1, (0.25, 0.5, 0.75)).tolist()
            found.append(
                Compared(
                    share,
                    name,
                    float(np.median(one)),
                    float(np.median(other)),
                    (low, middle, high),
                )
            )
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


def client_alone(
    server: Server, kind: Kind, rate: float, seconds: float
) -> dict[str, Any]:
    """Ask the empty handler at the same rates: what client and network take alone."""
    message = kind.make().message()
    rng = np.random.default_rng(0)
    found = dict[str, Any]()
    for share in SHARES:
        moments = poisson(share * rate, seconds, rng)
        opened = open_loop(server.port, message, moments, CONNECTIONS)
        found[f"{share:g}"] = {
            "measured": _quantiles(opened.seconds),
            "late": _quantiles(opened.late),
        }
    return found


def _quantiles(values: Floats) -> dict[str, float]:
    return {
        name: float(np.quantile(values, share)) for name, share in QUANTILES.items()
    }
