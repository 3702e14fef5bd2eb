"""A request on its way: its place in the queue, its stages, its deadline."""

from math import inf
from time import perf_counter

from sigmoid_serve.admission.limit import Queue
from sigmoid_serve.admission.stages import NOTHING, STAGES
from sigmoid_serve.errors import Abandoned, Expired


class Ticket:
    """What the service keeps of a request while it is in the queue.

    Args:
        queue: That it is in.

    Attributes:
        queue: As given.
        route: That is asked; for the metrics.
        model: That is asked, once it is known; for the metrics.
        request_id: As in `X-Request-ID`.
        began: When its head had arrived, on the clock `time.perf_counter`.
        seconds: By stage, the last for none; 0 for one that was not reached.
        stage: At hand.
        since: When it began, on the clock `time.perf_counter`.
        elements: With which it counts.
        arriving: Those of them that count as arriving.
        deadline: When its wait is over, on the clock `time.perf_counter`.
        is_abandoned: Whether its client has gone away.
    """

    route = ""
    model = ""
    request_id = "-"
    elements = 0
    arriving = 0
    deadline = inf
    is_abandoned = False

    def __init__(self, queue: Queue) -> None:
        self.seconds = [0.0] * 5
        self.stage = NOTHING
        self.since = 0.0
        self.began = perf_counter()
        self.queue = queue

    def enter(self, stage: int) -> None:
        """End the stage at hand, and begin another."""
        now = perf_counter()
        self.seconds[self.stage] += now - self.since
        self.stage = stage
        self.since = now

    def header(self) -> bytes:
        """End the last stage; write `Server-Timing`, in milliseconds."""
        self.enter(NOTHING)
        parse, queue, infer, encode, _ = self.seconds
        return b"parse;dur=%.3f, queue;dur=%.3f, infer;dur=%.3f, encode;dur=%.3f" % (
            1000 * parse,
            1000 * queue,
            1000 * infer,
            1000 * encode,
        )

    def settle(self, elements: int) -> None:
        """Count with this many elements from now on, none of them arriving."""
        queue = self.queue
        if not queue.elements:
            queue.begin()
        queue.elements += elements - self.elements
        queue.arriving -= self.arriving
        self.elements, self.arriving = elements, 0

    def hold(self, elements: int) -> None:
        """Count with this many elements of a body that is still arriving."""
        self.settle(elements)
        self.queue.arriving += elements
        self.arriving = elements

    def leave(self) -> None:
        """Make room for others; a second time changes nothing."""
        queue = self.queue
        queue.elements -= self.elements
        queue.arriving -= self.arriving
        queue.finished += self.elements
        self.elements = self.arriving = 0

    def arrived(self) -> None:
        """Let the time of the wait begin."""
        self.deadline = perf_counter() + self.queue.timeout_seconds

    def is_over(self, now: float) -> bool:
        """Tell whether it is in vain to go on."""
        return self.is_abandoned or now > self.deadline

    def check(self) -> None:
        """Go on, or not.

        Raises:
            Abandoned: The client has gone away.
            Expired: The request waited for too long.
        """
        if self.is_over(perf_counter()):
            raise self.fault()

    def fault(self) -> Abandoned | Expired:
        """Say why it is in vain to go on, and how the time went by."""
        stage = STAGES[self.stage] if self.stage < len(STAGES) else "parse"
        if self.is_abandoned:
            return Abandoned(stage)
        self.enter(self.stage)
        spent = zip(STAGES, self.seconds, strict=False)
        parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in spent)
        waited = perf_counter() - self.deadline + self.queue.timeout_seconds
        return Expired(
            stage,
            f"the request waited {waited:.1f} s, at last in the stage {stage} "
            f"({parts}); the longest wait is {self.queue.timeout_seconds:g} s "
            "(SIGMOID_TIMEOUT_SECONDS)",
        )
