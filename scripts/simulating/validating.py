"""Whether the simulation foretells one replica that is asked at fixed rates.

It gets the service times, the moments of arrival, and how fast the core was meanwhile,
and nothing of what waited.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from simulating.fleet import answered
from simulating.model import Model, speeds_of
from simulating.rounds import SHARES, Round
from simulating.speed import STEP_SECONDS, speed_of

MOST_OFF: Final[Mapping[str, float]] = {"p50": 0.15, "p99": 0.30}
QUANTILES: Final[Mapping[str, float]] = {"p50": 0.5, "p99": 0.99}


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
