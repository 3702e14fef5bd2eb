"""How long each stage of a request took, as the `Server-Timing` header says it."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Literal

Stage = Literal["parse", "queue", "infer", "encode"]


class Timings:
    """Seconds by stage; 0 for a stage that was not reached."""

    def __init__(self) -> None:
        self.seconds: dict[Stage, float] = {
            "parse": 0.0,
            "queue": 0.0,
            "infer": 0.0,
            "encode": 0.0,
        }

    @contextmanager
    def measure(self, stage: Stage) -> Iterator[None]:
        """Add the time that the block takes, also where it raises."""
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += perf_counter() - start

    def header(self) -> str:
        """Write the header's value; durations in milliseconds."""
        return ", ".join(
            f"{stage};dur={1000 * seconds:.3f}"
            for stage, seconds in self.seconds.items()
        )
