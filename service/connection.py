"""The connections of the server: uvicorn's, with the shortcut for short requests."""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.bodies import slow_body, slow_header
from service.context import Context, answer_to_error, name_request
from service.errors import Abandoned, ServiceError
from service.inference import Reply
from service.shortcut import Shortcut
from service.telemetry import OK
from service.ticket import Ticket
from service.wire import (
    MOST_HEADER_BYTES,
    long_header,
    message,
    no_http,
    problem_message,
)

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


_IDLE: Final = 0
_HEADER: Final = 1
_BODY: Final = 2


def shortcut_protocol(
    shortcut: Shortcut, context: Context, on_lost: Callable[[], None]
) -> type[HttpToolsProtocol]:
    """Make uvicorn's protocol, but for requests that take the shortcut.

    Args:
        shortcut: Answers them.
        context: Of the application.
        on_lost: Called when a connection has ended.
    """
    lookout = _Lookout()
    queue, readiness, telemetry = context.queue, context.readiness, context.telemetry
    settings = context.settings

    class Protocol(HttpToolsProtocol):
        """One connection.

        While a request may still take the shortcut, its body is kept here, and uvicorn
        has not seen the end of its head. If it does not, both are handed on.
        """

        stage = _IDLE  # of what arrives
        header_bytes = 0
        kept: list[bytes] | None = None
        kept_bytes = 0
        fields: Mapping[bytes, bytes]
        ticket: Ticket | None = None  # of a request that may take the shortcut
        is_last = False
        answered = 0.0
        flush: Callable[[], None] | None = None
        # What `cut_if_slow` saw last, and since when.
        seen_headers: object = ()
        seen_stage = _IDLE
        seen_since = 0.0

        def data_received(self, data: bytes) -> None:
            headers = self.headers
            # What uvicorn does, but for what it does of upgrades.
            if self.timeout_keep_alive_task is not None:
                self._unset_keepalive_if_required()
            try:
                self.parser.feed_data(data)
            except HttpParserError:
                self._refuse(no_http())
                return
            except HttpParserUpgrade:  # it is answered as if it had not asked
                return
            if self.stage == _IDLE:
                return
            if self.kept is not None:
                self._count_kept()
            elif self.stage == _HEADER and self.headers is headers:
                self.header_bytes += len(data)
                if self.header_bytes > MOST_HEADER_BYTES:
                    self._refuse(long_header())

        def _count_kept(self) -> None:
            """Keep account of a body that has not arrived as a whole."""
            assert self.kept is not None
            assert self.ticket is not None
            held = queue.most(self.kept_bytes)
            if queue.elements + held - self.ticket.elements <= queue.limit:
                self.ticket.settle(held)
                return
            # The usual way refuses it.
            body, self.kept = b"".join(self.kept), None
            self._leave_queue()
            self._hand_on_headers()
            super().on_body(body)

        def on_message_begin(self) -> None:
            if self.flush:
                # The answers come in the order of the requests.
                self.flush()
            self.stage = _HEADER
            self.header_bytes = 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self.stage = _BODY
            if self._may_be_short():
                self.kept, self.kept_bytes = [], 0
                self.ticket = Ticket(queue)
            else:
                self._hand_on_headers()

        def on_body(self, body: bytes) -> None:
            if self.kept is None:
                super().on_body(body)
            else:
                self.kept.append(body)
                self.kept_bytes += len(body)

        def on_message_complete(self) -> None:
            self.stage = _IDLE
            if self.kept is None or self.ticket is None:
                super().on_message_complete()
                return
            body, self.kept = b"".join(self.kept), None
            try:
                flush = shortcut.take(
                    self.url, self.fields, body, self.ticket, self._respond
                )
            except Exception:  # the usual way meets it again, and reports it
                flush = None
            if self.ticket:  # it is not answered yet
                self.flush = flush
            if flush is None:
                self._leave_queue()
                self._hand_on_headers()
                super().on_body(body)
                super().on_message_complete()

        def _hand_on_headers(self) -> None:
            super().on_headers_complete()
            if readiness.is_draining and self.cycle:
                self.cycle.keep_alive = False

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
            return length.isdigit() and shortcut.lets_in(self.fields, int(length))

        def _leave_queue(self) -> None:
            if self.ticket:
                self.ticket.leave()
                self.ticket = None

        def _respond(self, request_id: str, outcome: Reply | Exception) -> None:
            """Write a whole answer, and wait for the next request."""
            self.flush = None
            self.server_state.total_requests += 1
            ticket = self.ticket
            if ticket is None:
                return
            if isinstance(outcome, Reply):
                head, pieces = message(
                    200, outcome.media_type.encode(), outcome.pieces, request_id, ticket
                )
                if not self.transport.is_closing():
                    telemetry.answered(ticket, 200, OK)
            else:
                response = answer_to_error(context, request_id, ticket, outcome)
                if response is None:
                    self._leave_queue()
                    return
                head, pieces = problem_message(response, request_id, ticket)
            self._write(head, pieces)
            lookout.stay(self.loop)
            self._leave_queue()
            self.answered = self.loop.time()

        def _write(self, head: bytes, pieces: Sequence[bytes | memoryview]) -> None:
            if self.transport.is_closing():
                return
            is_last = self.is_last or readiness.is_draining
            lines = [head]
            for name, value in self.server_state.default_headers:
                lines += (name, b": ", value, b"\r\n")
            if is_last:
                lines.append(b"connection: close\r\n")
            self.transport.write(b"".join((*lines, b"\r\n", *pieces)))
            if is_last:
                self.transport.close()

        def cut_if_slow(self, now: float) -> None:
            """Close a connection whose client takes too long to send a request.

            Args:
                now: On the loop's clock; to be called every second or so.
            """
            if self.transport.is_closing():
                return
            is_answered = self.ticket is None and (
                self.cycle is None or self.cycle.response_complete
            )
            is_new = self.headers is None
            if self.stage == _IDLE and not is_new:
                if is_answered and now - self.answered > self.timeout_keep_alive:
                    self.transport.close()
                return
            # Each message has a list of headers of its own.
            if self.seen_headers is not self.headers or self.seen_stage != self.stage:
                self.seen_headers, self.seen_stage = self.headers, self.stage
                self.seen_since = now
                return
            in_body = self.stage == _BODY
            limit = settings.body_seconds if in_body else settings.header_seconds
            if now - self.seen_since <= limit:
                return
            if in_body and self.kept is not None:
                self._refuse(slow_body(limit))
            elif self.stage == _HEADER and is_answered:
                self._refuse(slow_header(limit))
            elif is_answered:
                self.transport.close()

        def _refuse(self, error: ServiceError) -> None:
            """Answer what is no whole request, and close the connection."""
            if self.flush:
                self.flush()
            self.is_last = True
            if self.cycle and not self.cycle.response_complete:
                # The answer at hand comes first, and is the last.
                self.cycle.keep_alive = False
                return
            ticket = self.ticket or Ticket(queue)
            ticket.route = ticket.route or "other"
            request_id = name_request(dict(self.headers or ()).get(b"x-request-id"))
            response = answer_to_error(context, request_id, ticket, error)
            if response:
                self._write(*problem_message(response, request_id, ticket))
            self._leave_queue()

        def on_response_complete(self) -> None:
            self.answered = self.loop.time()
            super().on_response_complete()

        def shutdown(self) -> None:
            self.is_last = True
            if self.ticket is None and self.stage == _IDLE:
                super().shutdown()
            elif self.cycle and not self.cycle.response_complete:
                self.cycle.keep_alive = False

        def connection_lost(self, exc: Exception | None) -> None:
            if self.ticket:
                self.ticket.is_abandoned = True
                if not self.flush:
                    telemetry.failed(Abandoned("body"))
                    self._leave_queue()
            super().connection_lost(exc)
            on_lost()

    return Protocol
