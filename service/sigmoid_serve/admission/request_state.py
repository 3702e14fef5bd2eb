"""The state of a request: its share of the limit, its stages, its deadline."""

from math import inf
from time import perf_counter
from typing import Final

from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.admission.stages import NO_STAGE, STAGES
from sigmoid_serve.errors import Abandoned, Expired

ELEMENTWISE: Final = "sigmoid"
"""The model as which the elementwise sigmoid is counted; no other has this name."""

ELEMENTWISE_VERSION: Final = "1"
"""Its only version."""


class RequestState:
    """What the service keeps of a request until its response is made.

    Args:
        admission: The limit that it counts towards.

    Attributes:
        admission: As given.
        route: That is asked; for the metrics.
        model: That is asked, once it is known; for the metrics.
        model_version: Version of the model that is asked, once it is known; for the
            metrics. Without a model it is that of the elementwise sigmoid.
        request_id: As in `X-Request-ID`.
        began: When its head had arrived, on the clock `time.perf_counter`.
        seconds: Per stage, indexed by the constants of `stages`; 0.0 if not reached.
            The last is time outside any stage.
        stage: At hand.
        since: When it began, on the clock `time.perf_counter`.
        elements: With which it counts.
        arriving: Those of them that count as arriving.
        deadline: When its wait is over, on the clock `time.perf_counter`.
        timeout_seconds: How long its wait may be, and
        timeout_source: who says so.
        is_abandoned: Whether its client has gone away.
    """

    route = ""
    model = ""
    model_version = ""
    request_id = "-"
    elements = 0
    arriving = 0
    deadline = inf
    timeout_source = "SIGMOID_TIMEOUT_SECONDS"
    is_abandoned = False

    def __init__(self, admission: AdmissionLimit) -> None:
        self.seconds = [0.0] * 5
        self.stage = NO_STAGE
        self.since = 0.0
        self.began = perf_counter()
        self.admission = admission
        self.timeout_seconds = admission.timeout_seconds

    def enter(self, stage: int) -> None:
        """End the stage at hand, and begin another."""
        now = perf_counter()
        self.seconds[self.stage] += now - self.since
        self.stage = stage
        self.since = now

    def finish_server_timing(self) -> bytes:
        """End the last stage; write `Server-Timing`, in milliseconds."""
        self.enter(NO_STAGE)
        parse, queue, infer, encode, _ = self.seconds
        return b"parse;dur=%.3f, queue;dur=%.3f, infer;dur=%.3f, encode;dur=%.3f" % (
            1000 * parse,
            1000 * queue,
            1000 * infer,
            1000 * encode,
        )

    def reserve(self, elements: int) -> None:
        """Count with this many elements from now on, none of them arriving.

        Raises:
            ServiceError: `queue_full`; then nothing has changed.
        """
        admission = self.admission
        more = elements - self.elements
        if not admission.elements:
            admission.begin()
        if admission.elements + more > admission.limit:
            admission.check(more)
        admission.elements += more
        admission.arriving -= self.arriving
        self.elements, self.arriving = elements, 0

    def reserve_arriving(self, elements: int) -> None:
        """Count with this many elements of a body that is still arriving.

        Raises:
            ServiceError: `queue_full`; then nothing has changed.
        """
        more = elements - self.elements
        self.admission.check_arriving(more)
        self._count(more, elements - self.arriving)

    def try_reserve_arriving(self, elements: int) -> bool:
        """Do the same, if there is room; tell whether there was."""
        more = elements - self.elements
        has_room = self.admission.may_arrive(more)
        if has_room:
            self._count(more, elements - self.arriving)
        return has_room

    def _count(self, elements: int, arriving: int) -> None:
        """Count with so many elements more, and so many more of them arriving."""
        admission = self.admission
        if not admission.elements:
            admission.begin()
        admission.elements += elements
        admission.arriving += arriving
        self.elements += elements
        self.arriving += arriving

    def release(self) -> None:
        """Make room for others; a second time changes nothing."""
        admission = self.admission
        admission.elements -= self.elements
        admission.arriving -= self.arriving
        admission.finished += self.elements
        self.elements = self.arriving = 0

    def start_deadline(self) -> None:
        """Let the time of the wait begin."""
        self.deadline = perf_counter() + self.timeout_seconds

    def shorten_timeout(self, seconds: float, source: str) -> None:
        """Let the wait be no longer than this, whether it has begun or not.

        Args:
            seconds: More than its wait may be anyway changes nothing.
            source: Who says so, for people.
        """
        less = self.timeout_seconds - seconds
        if less > 0:
            self.deadline -= less
            self.timeout_seconds = seconds
            self.timeout_source = source

    def should_stop(self, now: float) -> bool:
        """Tell whether it is in vain to go on."""
        return self.is_abandoned or now > self.deadline

    def check(self) -> None:
        """Go on, or not.

        Raises:
            Abandoned: The client has gone away.
            Expired: The request waited for too long.
        """
        if self.should_stop(perf_counter()):
            raise self.stop_error()

    def stop_error(self) -> Abandoned | Expired:
        """Say why it is in vain to go on, and how the time went by."""
        stage = STAGES[self.stage] if self.stage < len(STAGES) else "parse"
        if self.is_abandoned:
            return Abandoned(stage)
        self.enter(self.stage)
        spent = zip(STAGES, self.seconds, strict=False)
        parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in spent)
        waited = perf_counter() - self.deadline + self.timeout_seconds
        return Expired(
            stage,
            f"the request waited {waited:.1f} s, at last in the stage {stage} "
            f"({parts}); the longest wait is {_shown(self.timeout_seconds)} "
            f"({self.timeout_source})",
        )


def _shown(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1e-3 else f"{1e6 * seconds:g} µs"
