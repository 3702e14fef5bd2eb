"""The connections of the server: which way a request takes.

Short requests take the shortcut; uvicorn runs the application for all others.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from uvicorn.config import Config
from uvicorn.server import ServerState

from sigmoid_serve.admission.request_state import Ticket
from sigmoid_serve.errors import Abandoned, Expired, ServiceError
from sigmoid_serve.http.context import Context, answer_to_error, name_request
from sigmoid_serve.http.headers import Fields, read_fields
from sigmoid_serve.inference.request import Reply
from sigmoid_serve.monitoring.telemetry import OK
from sigmoid_serve.server import heads as wire
from sigmoid_serve.server.busy_poll import Lookout
from sigmoid_serve.server.fast_path import Shortcut
from sigmoid_serve.server.feeding import BODY, IDLE
from sigmoid_serve.server.lifetime import LAST_SECONDS, Lifetime
from sigmoid_serve.server.unread import SHORT_BYTES as SHORT_ANSWER_BYTES
from sigmoid_serve.server.unread import Unread
from sigmoid_serve.sockets.connection_limits import ConnectionSlot, too_many

# What is answered on every connection.
_HEALTH: Final = (b"/livez", b"/readyz", b"/startupz")


class Wiring(NamedTuple):
    """What all connections of a server have in common.

    Attributes:
        context: Of the application.
        shortcut: Answers short requests.
        lookout: Of the event loop.
        unread: What clients have not read of their answers.
        on_lost: Called when a connection has ended.
    """

    context: Context
    shortcut: Shortcut
    lookout: Lookout
    unread: Unread
    on_lost: Callable[[ConnectionSlot], None]


class Connection(Lifetime):
    """One connection.

    While a request may still take the shortcut, its body is kept here, and uvicorn has
    not seen the end of its head. If it does not, both are handed on.

    Args:
        config: Of uvicorn.
        server_state: Of uvicorn.
        app_state: Of uvicorn.
        wiring: What all connections share.
        slot: Of the connection, among those that are allowed.
    """

    # Of a request that may take the shortcut.
    _kept_body: list[bytes] | None = None
    _ticket: Ticket | None = None
    _flush: Callable[[], None] | None = None
    # The end of the head that was written last, and what it was made of.
    _lines = b""
    _date_of_lines: object = None
    _fields_of_lines: object = None
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
        self._queue = wiring.context.queue
        super().__init__(config, server_state, app_state, wiring.context, slot)

    @property
    def is_answered(self) -> bool:
        """Whether no request waits for an answer."""
        asked = self.asked
        return self._ticket is None and (asked is None or asked.response_complete)

    @property
    def application_reads(self) -> bool:
        """Whether the body that arrives is read by the application, in its time."""
        return self._kept_body is None

    def answer_at_once(self) -> None:
        """Compute the batch that a request waits for."""
        if self._flush:
            self._flush()

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self._flush:
            # The answers come in the order of the requests.
            self._flush()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Choose the way of a request."""
        self._has_offer = self.parser.should_upgrade()
        if self._has_offer:  # it begins anew
            return
        super().on_headers_complete()
        if self._may_be_short():
            self._kept_body = []
            self._ticket = Ticket(self._queue)
        else:
            self._hand_on_headers()

    def on_body(self, body: bytes) -> None:
        """Take in a part of the body."""
        self.body_bytes += len(body)
        if self._kept_body is None:
            super().on_body(body)
        else:
            self._kept_body.append(body)

    def on_message_complete(self) -> None:
        """Answer a request, or have the application do so."""
        if self._has_offer:
            return
        self.stage = IDLE
        if self.is_over:
            self.transport.close()
        elif self._kept_body is None or self._ticket is None:
            super().on_message_complete()
            if self.is_ended_by_trailer:
                self.end_with(self.cycle)
        else:
            body, self._kept_body = b"".join(self._kept_body), None
            self._take_shortcut(body, self._ticket)

    def head_fault(self) -> ServiceError | None:
        """Refuse what is asked beyond the limits of connections, but for health."""
        if not self.slot.exceeded:
            return None
        self.is_last = True
        is_read = self.parser.get_method() in (b"GET", b"HEAD")
        if is_read and self.url.partition(b"?")[0] in _HEALTH:
            return None
        return too_many(self.slot.exceeded)

    def _may_be_short(self) -> bool:
        cycle, shortcut = self.cycle, self._wiring.shortcut
        if (
            self.is_last
            or self.parser.get_method() != b"POST"
            or not shortcut.leads_to(self.url)
            or self.expect_100_continue
            or self.flow.write_paused
            or not (cycle is None or cycle.response_complete)
        ):
            return False
        length = self.fields.get(b"content-length", b"")
        return length.isdigit() and shortcut.lets_in(self.fields, int(length))

    def count_body(self) -> None:
        """Keep account of a body that has not arrived as a whole."""
        kept = self._kept_body
        if kept is None or self._ticket is None:
            return
        held = self._queue.most(self.body_bytes)
        if self._queue.may_arrive(held - self._ticket.elements):
            self._ticket.hold(held)
        else:  # the application refuses it
            self._hand_on(b"".join(kept))

    def _take_shortcut(self, body: bytes, ticket: Ticket) -> None:
        try:
            flush = self._wiring.shortcut.take(
                self.url, self.fields, body, ticket, self._respond
            )
        except Exception:  # the application meets it again, and reports it
            flush = None
        if self._ticket:  # it is not answered yet
            self._flush = flush
        if flush is None:
            self._hand_on(body)
            super().on_message_complete()

    def _hand_on(self, body: bytes) -> None:
        self._kept_body = None
        self._leave_queue()
        self._hand_on_headers()
        super().on_body(body)

    def _hand_on_headers(self) -> None:
        self.hand_on_head()
        self.cycle.keep_alive = not self.is_last
        if self.version == "1.0":  # it knows no such answer
            self.cycle.waiting_for_100_continue = False

    def _leave_queue(self) -> None:
        if self._ticket:
            self._ticket.leave()
            self._ticket = None

    def _respond(self, outcome: Reply | Exception) -> None:
        """Write a whole answer, and wait for the next request."""
        self._flush = None
        self.server_state.total_requests += 1
        ticket = self._ticket
        if ticket is None:
            return
        if isinstance(outcome, Reply):
            head, pieces = wire.message(
                200, outcome.media_type.encode(), outcome.pieces, ticket
            )
            if not self.transport.is_closing():
                self.context.answered(ticket, 200, OK)
        else:
            response = answer_to_error(self.context, ticket, outcome)
            if response is None:
                self._leave_queue()
                return
            head, pieces = wire.problem_message(response, ticket)
        self._write(head, pieces, self.version)
        self._wiring.lookout.stay(self.loop, self)
        self._leave_queue()
        self.answered = self.loop.time()

    def _write(
        self, head: bytes, pieces: Sequence[bytes | memoryview], version: str
    ) -> None:
        if self.transport.is_closing():
            return
        must_end = self.is_last or self.readiness.is_draining
        lines = self._last_lines(self.last_fields(version, must_end=must_end))
        answer = b"".join((head, lines, *pieces))
        self.transport.write(answer)
        if len(answer) > SHORT_ANSWER_BYTES:
            self.hold_answer(len(answer))
        if self.is_ending:
            self.end()

    def _last_lines(self, fields: Fields) -> bytes:
        """Write the end of a head; it is the same for a second, as the date is."""
        headers = self.server_state.default_headers
        if headers is not self._date_of_lines or fields is not self._fields_of_lines:
            self._date_of_lines, self._fields_of_lines = headers, fields
            both = (b"%b: %b\r\n" % line for line in (*headers, *fields))
            self._lines = b"".join((*both, b"\r\n"))
        return self._lines

    def refuse(self, error: ServiceError) -> None:
        """Answer what is no whole request, and end the connection."""
        if self._flush:
            self._flush()
        self.is_deaf = self.is_last = True
        self._kept_body = None
        asked = self.asked
        is_in_body = self.stage == BODY and self.is_handed_on
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
        ticket = self._ticket or Ticket(self._queue)
        ticket.route = ticket.route or "other"
        fields = read_fields(self.headers or ())
        ticket.request_id = name_request(fields.get(b"x-request-id"))
        response = answer_to_error(self.context, ticket, error)
        if response:
            self._write(*wire.problem_message(response, ticket), "1.1")
        self._leave_queue()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what was not answered."""
        if self._ticket:
            self._ticket.is_abandoned = True
            if not self._flush:
                self.context.telemetry.failed(Abandoned("body"))
                self._leave_queue()
        super().connection_lost(exc)
        self._wiring.on_lost(self.slot)
