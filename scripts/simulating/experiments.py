"""What the simulation is asked, of service times that were measured and validated."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from math import ceil, inf
from typing import Any, Final

import numpy as np

from simulating.balancing import BALANCERS
from simulating.fleet import answered
from simulating.loads import poisson
from simulating.service_times import ServiceTimes
from simulating.speed import Floats, speed_of
from simulating.validating import QUANTILES

REPLICAS: Final = (1, 2, 4, 10, 100, 1000)
LOADS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CORES: Final = (2, 4, 16, 64)
# Mean seconds of the high and the low rate of bursty arrivals, and how high they are.
BURST_SECONDS: Final = 0.1
BURST_RATES: Final = (0.5, 1.5)
# Of each replica, lest the queues be shorter than they become.
_FEWEST: Final = 200_000
_OF_EACH: Final = 1000
# Of the requests, the first of which meet an empty fleet.
_WARM_UP: Final = 0.25
Show = Callable[[str], None]
Figures = dict[str, Any]


def run(
    times: ServiceTimes, warmth: Mapping[float, float], scale: float, show: Show
) -> Figures:
    """Run all experiments.

    Args:
        times: Of a replica of one core.
        warmth: By share of the capacity, how fast it is, relative to the highest.
        scale: Of the numbers of requests; 1 for figures to publish.
        show: Is told what is being simulated.
    """
    ask = _Asker(times, warmth, scale, show)
    fleets = {
        balancing: {
            str(count): {
                f"{load:g}": ask(count, balancing, load)
                for load in (LOADS if count > 1 or balancing == "random" else ())
            }
            for count in REPLICAS
        }
        for balancing in BALANCERS
    }
    bursts = {
        balancing: {
            str(count): ask(count, balancing, 0.6, arrivals=bursty)
            for count in REPLICAS
            if count <= 100
        }
        for balancing in ("random", "two choices")
    }
    return {
        "capacity": ask.capacity,
        "fleets": fleets,
        "bursts": bursts,
        **{
            name: {f"{load:g}": ask(1, "random", load, change=change) for load in LOADS}
            for name, change in (("one by one", one_by_one), ("steady", steady))
        },
        "large": {str(cores): _large(ask, cores) for cores in CORES},
    }


def one_by_one(times: ServiceTimes) -> ServiceTimes:
    """Make the service times of turns that take one request each."""
    one = float(times.turn(1.0))
    return replace(times, most=1.0, counts=(1.0,), seconds=(one,))


def steady(times: ServiceTimes) -> ServiceTimes:
    """Make the service times of a core that always has its mean speed."""
    return replace(times, speed=speed_of(np.full(1, times.speed.mean), 1.0))


def bursty(rate: float, seconds: float, rng: np.random.Generator) -> Floats:
    """Draw arrivals whose rate changes between a low and a high one.

    Each lasts an exponentially distributed time, as long as the other on average; the
    mean rate is the one given.
    """
    count = 2 * max(1, ceil(seconds / BURST_SECONDS / 2))
    lengths = rng.exponential(BURST_SECONDS, count)
    # The time by a clock that runs as fast as requests arrive.
    clock = np.concatenate([[0.0], (lengths * np.resize(BURST_RATES, count)).cumsum()])
    wall = np.concatenate([[0.0], lengths.cumsum()])
    even = poisson(rate, float(clock[-1]), rng)
    moments: Floats = np.interp(even[even < clock[-1]], clock, wall)
    return moments


def faster(times: ServiceTimes, by: float) -> ServiceTimes:
    """Make the service times of a machine that computes so many times as fast."""
    return replace(
        times,
        seconds=tuple(value / by for value in times.seconds),
        gap=times.gap / by,
    )


class _Asker:
    """Asks a fleet, and notes what came of it.

    Attributes:
        capacity: Of one replica, requests per second.
    """

    def __init__(
        self,
        times: ServiceTimes,
        warmth: Mapping[float, float],
        scale: float,
        show: Show,
    ) -> None:
        self._times = times
        self._warmth = warmth
        self._scale = scale
        self._show = show
        self.capacity = times.capacity * times.speed.mean

    def __call__(
        self,
        replicas: int,
        balancing: str,
        load: float,
        *,
        change: Callable[[ServiceTimes], ServiceTimes] | None = None,
        speed: float = 1.0,
        arrivals: Callable[[float, float, np.random.Generator], Floats] = poisson,
    ) -> Figures:
        """Ask at a share of the capacity of all replicas together."""
        self._show(f"{replicas:,} replicas, {balancing}, {load:.0%}")
        rng = np.random.default_rng([replicas, round(100 * load)])
        rate = load * self.capacity * replicas * speed
        count = self._scale * max(_FEWEST, _OF_EACH * replicas)
        moments = arrivals(rate, count / rate, rng)
        warmth = np.interp(load, [*self._warmth], [*self._warmth.values()])
        times = faster(self._times, float(warmth))
        times = change(times) if change else times
        result = answered(moments, replicas, balancing, times, rng)
        kept = result.seconds[int(_WARM_UP * len(moments)) :]
        return {
            **{name: float(np.quantile(kept, q)) for name, q in QUANTILES.items()},
            "busy": result.busy,
            "batch": result.batch,
            # By Little's law, of each replica.
            "in flight": float(kept.mean()) * rate / replicas,
        }


def _large(ask: _Asker, cores: int) -> Figures:
    """Compare ways to use so many cores, at three loads."""
    ways: Mapping[str, Callable[[float], Figures]] = {
        "workers on one socket": lambda load: ask(cores, "random", load),
        "replicas, connections at random": lambda load: ask(cores, "connections", load),
        "replicas, two choices": lambda load: ask(cores, "two choices", load),
        "replicas, least outstanding": lambda load: ask(
            cores, "least outstanding", load
        ),
        "one loop as fast as all cores": lambda load: ask(
            1, "random", load, change=partial(faster, by=cores), speed=cores
        ),
    }
    return {
        way: {f"{load:g}": look(load) for load in (0.3, 0.6, 0.8)}
        for way, look in ways.items()
    }


def highest_load(by_load: Mapping[str, Figures], bound: float) -> float:
    """Find up to which load p99 stays within a bound, between the loads on a line.

    Returns:
        A share of the capacity; 0 where the lowest load is above the bound.
    """
    below, p99_below = 0.0, -inf
    for text, figures in by_load.items():
        load, p99 = float(text), float(figures["p99"])
        if p99 > bound:
            if p99_below == -inf:
                return 0.0
            return below + (load - below) * (bound - p99_below) / (p99 - p99_below)
        below, p99_below = load, p99
    return below
