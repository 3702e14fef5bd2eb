"""The in-flight limit of a process: how many tensor elements are admitted at once.

Elements are what takes memory and time. An arriving body counts as the most elements
that its bytes can hold, one in two, then as its real size. The elements count until the
response is made. Bodies that are still arriving take at most half of the limit, as
nobody knows for how long. Only the event loop counts.
"""

from math import ceil
from time import perf_counter
from typing import Final

from sigmoid_serve.errors import ServiceError

# A number in JSON has at least one digit and a separator.
_BYTES_PER_ELEMENT: Final = 2

# The rate is measured anew after so long.
_WINDOW_SECONDS: Final = 5.0


class AdmissionLimit:
    """Counts elements, and measures how fast they are dealt with.

    Args:
        limit: Most elements at once (`SIGMOID_MAX_QUEUE_ELEMENTS`).
        max_elements: Most elements of one request; not above `limit`.
        timeout_seconds: Longest wait of a request (`SIGMOID_TIMEOUT_SECONDS`).

    Attributes:
        elements: Admitted, without a response yet.
        arriving: Those of them whose bodies are still arriving.
        finished: Elements that were dealt with since the rate is measured.
    """

    def __init__(self, limit: int, max_elements: int, timeout_seconds: float) -> None:
        self.limit = limit
        self.elements = 0
        self.arriving = 0
        self.timeout_seconds = timeout_seconds
        self._max_elements = max_elements
        self.finished = 0
        self._since = 0.0
        self._rate = 0.0

    def most(self, body_bytes: int) -> int:
        """Say how many elements a body of some length can hold, of those allowed."""
        return min(body_bytes // _BYTES_PER_ELEMENT, self._max_elements)

    def check(self, elements: int) -> None:
        """Let more elements in, or not.

        Raises:
            ServiceError: `queue_full`, with the seconds until there will be room.
        """
        if self.elements + elements > self.limit:
            raise self._full(self.elements, elements, self.limit, "elements wait")

    def check_arriving(self, elements: int) -> None:
        """Let more elements of a body in that is still arriving, or not.

        Raises:
            ServiceError: `queue_full`.
        """
        self.check(elements)
        if not self.may_arrive(elements):
            what = "elements are still arriving"
            raise self._full(self.arriving, elements, self.limit // 2, what)

    def may_arrive(self, elements: int) -> bool:
        """Tell whether more elements of a body may come in that is still arriving."""
        return (
            self.elements + elements <= self.limit
            and self.arriving + elements <= self.limit // 2
        )

    def _full(self, there: int, elements: int, limit: int, what: str) -> ServiceError:
        seconds = self._seconds_for(there + elements - limit)
        source = "SIGMOID_MAX_QUEUE_ELEMENTS"
        if limit < self.limit:
            source = f"half of {source}"
        error = ServiceError(
            "queue_full",
            f"the queue is full: {there} {what}, this request may have {elements}, "
            f"the limit is {limit} ({source}); "
            f"ask again in {seconds} s",
            expected=f"at most {max(0, limit - there)} elements now",
            got=f"up to {elements}",
        )
        error.retry_after = seconds
        return error

    def begin(self) -> None:
        """Measure the rate from now on."""
        self._since = perf_counter()
        self.finished = 0

    def _seconds_for(self, elements: int) -> int:
        """Estimate when so many elements will be done with, in whole seconds.

        No request stays for longer than the timeout, which is therefore the most.
        """
        elapsed = perf_counter() - self._since
        if self.finished:
            self._rate = self.finished / max(elapsed, 1e-3)
        if elapsed > _WINDOW_SECONDS:
            self.begin()
        longest = ceil(self.timeout_seconds)
        if self._rate * longest <= elements:
            return longest
        return ceil(elements / self._rate)
