"""What every fault is given."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Scene:
    """Where and how long a fault is run.

    Attributes:
        folder: For its files.
        seconds: Of load.
        swaps: Number of swaps, with one worker; with several, a fifth of them.
        show: Tells the user what is going on.
    """

    folder: Path
    seconds: float
    swaps: int
    show: Callable[[str], None]
