"""The connections of the server: which way a request takes.

Short requests take the fast path; uvicorn runs the application for all others.
"""

from collections.abc import Sequence
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.errors import Abandoned, Expired, ServiceError
from sigmoid_serve.http.context import answer_to_error, name_request
from sigmoid_serve.http.headers import combine_headers
from sigmoid_serve.inference.media import HeaderLines
from sigmoid_serve.inference.operations import Done, Match
from sigmoid_serve.inference.request import InferenceResponse
from sigmoid_serve.monitoring.telemetry import OK
from sigmoid_serve.server import heads
from sigmoid_serve.server.feeding import BODY, IDLE
from sigmoid_serve.server.lifetime import LAST_SECONDS, Lifetime
from sigmoid_serve.server.short_request import ShortRequest, Wiring
from sigmoid_serve.server.unread import SHORT_BYTES as SHORT_ANSWER_BYTES
from sigmoid_serve.sockets.connection_limits import ConnectionSlot, too_many


class Connection(Lifetime):
    """One connection.

    While a request may still take the fast path, its body is buffered here, and uvicorn
    has not seen the end of its head. If it does not, both are forwarded.

    Args:
        config: Of uvicorn.
        server_state: Of uvicorn.
        app_state: Of uvicorn.
        wiring: What all connections share.
        slot: Of the connection, among those that are allowed.
    """

    _short: ShortRequest | None = None
    # The end of the head that was written last, and what it was made of.
    _lines = b""
    _date_of_lines: object = None
    _last_of_lines: object = None
    # Whether the request at hand offers another protocol.
    _has_offer = False

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        wiring: Wiring,
        slot: ConnectionSlot,
    ) -> None:
        self._wiring = wiring
        self.unread = wiring.unread
        self._admission = wiring.context.admission
        super().__init__(config, server_state, app_state, wiring.context, slot)

    @property
    def is_answered(self) -> bool:
        """Whether no request waits for a response."""
        asked = self.asked
        return self._short is None and (asked is None or asked.response_complete)

    @property
    def application_reads(self) -> bool:
        """Whether the body that arrives is read by the application, in its time."""
        return self._short is None or self._short.body is None

    def answer_at_once(self) -> None:
        """Compute the batch that a request waits for."""
        if self._short and self._short.pending:
            self._short.pending.flush()

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._short:  # the responses come in the order of the requests
            self.answer_at_once()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Choose the way of a request."""
        self._has_offer = self.parser.should_upgrade()
        if self._has_offer:  # it begins anew
            return
        super().on_headers_complete()
        match = self._match_short()
        if match:
            self._short = ShortRequest(match, RequestState(self._admission))
        else:
            self._forward_headers()

    def on_body(self, body: bytes) -> None:
        """Take in a part of the body."""
        self.body_bytes += len(body)
        if self._short is None or self._short.body is None:
            super().on_body(body)
        else:
            self._short.body.append(body)

    def on_message_complete(self) -> None:
        """Answer a request, or have the application do so."""
        if self._has_offer:
            return
        self.receive_state = IDLE
        short = self._short
        if self.is_over:
            self.transport.close()
        elif short is None or short.body is None:
            self._complete_forwarded()
        elif self.trailers:
            self._forward(short, b"".join(short.body))
            self._complete_forwarded()
        else:
            self._take_fast_path(short, short.body)

    @property
    def _path(self) -> str:
        """The path that is asked, as far as the request says it."""
        return (self.url or b"").partition(b"?")[0].decode("latin-1")

    def head_error(self) -> ServiceError | None:
        """Refuse what is asked beyond the limits of connections, but for health."""
        if not self.slot.exceeded:
            return None
        self.is_last = True
        is_read = self.parser.get_method() in (b"GET", b"HEAD")
        if is_read and self._path in self.context.health_paths:
            return None
        return too_many(self.slot.exceeded)

    def _match_short(self) -> Match | None:
        """Find the route of the request at hand, if it may take the fast path."""
        cycle, fast_path = self.cycle, self._wiring.fast_path
        match = fast_path.match(self.url)
        if (
            match is None
            or self.is_last
            or self.parser.get_method() != b"POST"
            or self.expect_100_continue
            or self.flow.write_paused
            or not (cycle is None or cycle.response_complete)
        ):
            return None
        length = self.named_headers.get(b"content-length", b"")
        if not length and b"transfer-encoding" in self.named_headers:
            length = b"0"  # it is chunked, and may be short
        is_accepted = length.isdigit() and fast_path.accepts_headers(
            self.named_headers, int(length)
        )
        return match if is_accepted else None

    def count_body(self) -> None:
        """Keep account of a body that has not arrived as a whole."""
        short = self._short
        if short is None or short.body is None:
            return
        is_short = self.body_bytes <= self._wiring.fast_path.max_body_bytes
        held = self._admission.most(self.body_bytes)
        # Otherwise the application reads it, or refuses it.
        if not (is_short and short.state.try_reserve_arriving(held)):
            self._forward(short, b"".join(short.body))

    def _take_fast_path(self, short: ShortRequest, parts: list[bytes]) -> None:
        body = b"".join(parts)
        short.body = None
        try:
            outcome = self._wiring.fast_path.handle(
                short.match, self.named_headers, body, short.state, self._respond
            )
        except Exception:  # the application meets it again, and reports it
            outcome = None
        if outcome is None:
            self._forward(short, body)
            self._complete_forwarded()
        elif isinstance(outcome, Done):
            self._respond(outcome.response)
        else:
            short.pending = outcome

    def _forward(self, short: ShortRequest, body: bytes) -> None:
        """Have the application answer a request that was thought to be short."""
        short.state.release()
        self._short = None
        self._forward_headers()
        super().on_body(body)

    def _complete_forwarded(self) -> None:
        super().on_message_complete()
        if self.is_ended_by_trailer:
            self.end_with(self.cycle)

    def _forward_headers(self) -> None:
        self.hand_on_head()
        self.cycle.keep_alive = not self.is_last
        if self.version == "1.0":  # it knows no such answer
            self.cycle.waiting_for_100_continue = False

    def _respond(self, outcome: InferenceResponse | Exception) -> None:
        """Write the whole response to a short request, and wait for the next."""
        self.server_state.total_requests += 1
        short, self._short = self._short, None
        if short is None:
            return
        state = short.state
        message: heads.Message | None = None
        if isinstance(outcome, InferenceResponse):
            head, pieces = heads.message(
                200, outcome.media_type.encode(), outcome.pieces, state
            )
            for line in outcome.headers:
                head += b"%b: %b\r\n" % line
            message = head, pieces
            if not self.transport.is_closing():
                self.context.record_response(state, 200, OK)
        else:
            path = short.match.operation.template
            response = answer_to_error(self.context, state, outcome, path)
            if response:
                message = heads.problem_message(response, state)
        if message:
            head, pieces = message
            head += self._wiring.fast_path.header_lines
            self._write(head, pieces, self.version)
            self._wiring.busy_poll.stay(self.loop, self)
            self.answered = self.loop.time()
        state.release()

    def _write(
        self, head: bytes, pieces: Sequence[bytes | memoryview], version: str
    ) -> None:
        if self.transport.is_closing():
            return
        must_end = self.is_last or self.readiness.is_draining
        lines = self._last_lines(self.last_headers(version, must_end=must_end))
        answer = b"".join((head, lines, *pieces))
        self.transport.write(answer)
        if len(answer) > SHORT_ANSWER_BYTES:
            self.hold_answer(len(answer))
        if self.is_ending:
            self.end()

    def _last_lines(self, last: HeaderLines) -> bytes:
        """Write the end of a head; it is the same for a second, as the date is."""
        headers = self.server_state.default_headers
        if headers is not self._date_of_lines or last is not self._last_of_lines:
            self._date_of_lines, self._last_of_lines = headers, last
            both = (b"%b: %b\r\n" % line for line in (*headers, *last))
            self._lines = b"".join((*both, b"\r\n"))
        return self._lines

    def refuse(self, error: ServiceError) -> None:
        """Answer what is no whole request, and end the connection."""
        self.answer_at_once()
        self.is_deaf = self.is_last = True
        asked = self.asked
        is_in_body = self.receive_state == BODY and self.is_handed_on
        is_of_asked = is_in_body and asked is self.cycle
        self.drop_half_sent()
        if is_of_asked and asked and asked.response_complete:
            self.end()  # there is no second answer
            return
        if asked and not asked.response_complete:
            if is_of_asked and asked.response_started:
                self.is_ending = True
                return
            if not is_of_asked:
                self.refusal = error  # the answers at hand come first
                return
            # The application gives it up.
            asked.disconnected = True
            asked.message_event.set()
        seconds = self.context.settings.header_seconds
        must_be_short = isinstance(error, Expired) or self.slot.exceeded
        self.linger_seconds = LAST_SECONDS if must_be_short else seconds
        short, self._short = self._short, None
        state = short.state if short else RequestState(self._admission)
        state.route = state.route or "other"
        given = combine_headers(self.headers or ()).get(b"x-request-id")
        state.request_id = name_request(given)
        response = answer_to_error(self.context, state, error, self._path)
        if response:
            self._write(*heads.problem_message(response, state), "1.1")
        state.release()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what was not answered."""
        short = self._short
        if short:
            short.state.is_abandoned = True
            if not short.pending:
                self.context.telemetry.record_error(Abandoned("body"))
                short.state.release()
                self._short = None
        super().connection_lost(exc)
        self._wiring.on_lost(self.slot)
