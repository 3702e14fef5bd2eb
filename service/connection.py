"""The connections of the server: uvicorn's, with the shortcut for short requests."""

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.context import answer_to_failure
from service.error_handlers import problem
from service.errors import ServiceError
from service.inference import Reply
from service.shortcut import Shortcut
from service.timing import Timings

# A client that has an answer often asks again at once. To look out for that takes less
# than to fall asleep and be woken, which costs a short request a sixth of its time.
_AWAKE_SECONDS: Final = 50e-6


class _Lookout:
    """Keeps an event loop awake for a moment after each answer."""

    def __init__(self) -> None:
        self._until = 0.0
        self._is_looking = False

    def stay(self, loop: AbstractEventLoop) -> None:
        """Look out from now on, and not for longer than the moment."""
        self._until = perf_counter() + _AWAKE_SECONDS
        if not self._is_looking:
            self._look(loop)

    def _look(self, loop: AbstractEventLoop) -> None:
        # A loop that has a callback due takes in what has arrived without waiting.
        self._is_looking = perf_counter() < self._until
        if self._is_looking:
            loop.call_soon(self._look, loop)


def shortcut_protocol(shortcut: Shortcut) -> type[HttpToolsProtocol]:
    """Make uvicorn's protocol, but for requests that take the shortcut."""
    lookout = _Lookout()

    class Protocol(HttpToolsProtocol):
        """One connection.

        While a request may still take the shortcut, its body is kept here, and uvicorn
        has not seen the end of its head. If it does not, both are handed on.
        """

        kept: list[bytes] | None = None
        fields: Mapping[bytes, bytes]
        has_begun = False  # a request that uvicorn has not been handed yet
        answered = 0.0
        idle_timer: TimerHandle | None = None
        flush: Callable[[], None] | None = None

        def on_message_begin(self) -> None:
            if self.flush:
                # The answers come in the order of the requests.
                self.flush()
            self.has_begun = True
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            if self._may_be_short():
                self.kept = []
            else:
                self.has_begun = False
                super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            if self.kept is None:
                super().on_body(body)
            else:
                self.kept.append(body)

        def on_message_complete(self) -> None:
            if self.kept is None:
                super().on_message_complete()
                return
            body, self.kept = b"".join(self.kept), None
            try:
                self.flush = shortcut.take(self.url, self.fields, body, self._respond)
            except Exception:  # the usual way meets it again, and reports it
                self.flush = None
            if self.flush is None:
                self.has_begun = False
                super().on_headers_complete()
                super().on_body(body)
                super().on_message_complete()

        def _may_be_short(self) -> bool:
            parser, cycle = self.parser, self.cycle
            if (
                parser.get_method() != b"POST"
                or not shortcut.leads_to(self.url)
                or self.expect_100_continue
                or not parser.should_keep_alive()
                or parser.should_upgrade()
                or self.flow.write_paused
                or not (cycle is None or cycle.response_complete)
            ):
                return False
            self.fields = dict(self.headers)
            length = self.fields.get(b"content-length", b"")
            return length.isdigit() and int(length) <= shortcut.max_body_bytes

        def _respond(
            self, request_id: str, timings: Timings, outcome: Reply | Exception
        ) -> None:
            """Write a whole answer, and wait for the next request."""
            self.flush, self.has_begun = None, False
            self.server_state.total_requests += 1
            if self.transport.is_closing():
                return
            head, pieces = _answer(request_id, timings, outcome)
            lines = [head]
            for name, value in self.server_state.default_headers:
                lines += (name, b": ", value, b"\r\n")
            self.transport.write(b"".join((*lines, b"\r\n", *pieces)))
            lookout.stay(self.loop)
            self.answered = self.loop.time()
            if self.idle_timer is None:
                self._look_later(self.timeout_keep_alive)

        def _look_later(self, seconds: float) -> None:
            """Set a timer, one for many answers: each costs as much as a header."""
            self.idle_timer = self.loop.call_later(seconds, self._close_if_idle)

        def _close_if_idle(self) -> None:
            self.idle_timer = None
            if self.transport.is_closing():
                return
            idle = self.loop.time() - self.answered
            is_busy = self.has_begun or not (
                self.cycle is None or self.cycle.response_complete
            )
            if is_busy or idle < self.timeout_keep_alive:
                self._look_later(max(0.1, self.timeout_keep_alive - idle))
            else:
                self.transport.close()

        def on_response_complete(self) -> None:
            self.answered = self.loop.time()
            super().on_response_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            if self.idle_timer:
                self.idle_timer.cancel()
            super().connection_lost(exc)

    return Protocol


def _answer(
    request_id: str, timings: Timings, outcome: Reply | Exception
) -> tuple[bytes, list[bytes | memoryview]]:
    """Write the head of an answer, but for its end, and return its body with it."""
    if isinstance(outcome, Reply):
        status, pieces = 200, [*outcome.pieces]
        media_type = outcome.media_type.encode()
    else:
        response = (
            problem(request_id, outcome)
            if isinstance(outcome, ServiceError)
            else answer_to_failure(request_id, outcome)
        )
        assert response is not None
        status, pieces = response.status_code, [bytes(response.body)]
        media_type = response.headers["content-type"].encode()
    head = (
        b"%bcontent-type: %b\r\ncontent-length: %d\r\n"
        b"x-request-id: %b\r\nserver-timing: %b\r\n"
    ) % (
        STATUS_LINE[status],
        media_type,
        sum(map(len, pieces)),
        request_id.encode(),
        timings.header(),
    )
    return head, pieces
