"""Whether memory grows: a slope, and how sure it is."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

# Samples that follow each other are much alike; means of blocks are nearly independent.
_BLOCKS: Final = 12
_WARM_UP_SHARE: Final = 0.2


class Slope(NamedTuple):
    """A line through samples.

    Attributes:
        per_second: Its slope.
        error: Standard error of the slope.
    """

    per_second: float
    error: float


def slope(samples: Sequence[tuple[float, float]]) -> Slope:
    """Fit a line by least squares to the means of blocks, after the first fifth.

    Args:
        samples: Seconds, increasing, and a value; enough for the blocks.
    """
    late = np.asarray(samples[int(len(samples) * _WARM_UP_SHARE) :], dtype=np.float64)
    blocks = np.array_split(late, _BLOCKS)
    times, values = np.array([block.mean(axis=0) for block in blocks]).T
    centred = times - times.mean()
    squares = float(centred @ centred)
    per_second = float(centred @ values) / squares
    residuals = values - values.mean() - per_second * centred
    variance = float(residuals @ residuals) / (_BLOCKS - 2)
    return Slope(per_second, float(np.sqrt(variance / squares)))
