"""The losses of a training, epoch by epoch."""

from collections.abc import Sequence
from typing import NamedTuple


class Losses(NamedTuple):
    """What a report shows of a training; losses in nats.

    Attributes:
        training: Of each epoch.
        validation: The same.
        kept: Number of the epoch whose weights were kept, from 1 on.
    """

    training: Sequence[float]
    validation: Sequence[float]
    kept: int
