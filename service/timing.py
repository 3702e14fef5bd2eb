"""How long each stage of a request took, as the `Server-Timing` header says it."""

from time import perf_counter
from typing import Final

PARSE: Final = 0
QUEUE: Final = 1
INFER: Final = 2
ENCODE: Final = 3
NOTHING: Final = 4

STAGES: Final = ("parse", "queue", "infer", "encode")


class Timings:
    """Seconds by stage; 0 for a stage that was not reached.

    Attributes:
        seconds: By stage.
        stage: At hand.
        since: When it began, on the clock `time.perf_counter`.
    """

    def __init__(self) -> None:
        self.seconds = [0.0] * 5
        self.stage = NOTHING
        self.since = 0.0

    def enter(self, stage: int) -> None:
        """End the stage at hand, and begin another."""
        now = perf_counter()
        self.seconds[self.stage] += now - self.since
        self.stage = stage
        self.since = now

    def header(self) -> bytes:
        """End the last stage and write the header's value; in milliseconds."""
        self.enter(NOTHING)
        parse, queue, infer, encode, _ = self.seconds
        return b"parse;dur=%.3f, queue;dur=%.3f, infer;dur=%.3f, encode;dur=%.3f" % (
            1000 * parse,
            1000 * queue,
            1000 * infer,
            1000 * encode,
        )
