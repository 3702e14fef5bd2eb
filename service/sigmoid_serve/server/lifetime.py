"""How long a connection lasts: what its answers say of it, and how it ends.

A connection goes on after an answer unless its client wants otherwise, or too much of a
request was not read. It ends when it was idle for too long, when its client was too
slow, did not read or has gone, and with the process.
"""

import logging
from abc import abstractmethod
from asyncio import Transport
from functools import partial
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from sigmoid_serve.errors import Abandoned, ServiceError
from sigmoid_serve.http.bodies import body_timeout_error, header_timeout_error
from sigmoid_serve.http.context import Context
from sigmoid_serve.inference.media import HeaderLines
from sigmoid_serve.server import peer
from sigmoid_serve.server.feeding import BODY, HEADER, IDLE
from sigmoid_serve.server.presence import Presence
from sigmoid_serve.sockets.connection_limits import EXTRA_SECONDS, ConnectionSlot

# Of a body that nobody reads, so much is waited for rather than that the connection is
# closed: many clients send head and body apart, and read the answer after both.
_SMALL_REST: Final = 2**16

# A client that was too slow gets so long to read that it was.
LAST_SECONDS: Final = 1.0

# An idle connection is kept a little longer than was said.
_SPARE_SECONDS: Final = 0.5

_CLOSE: Final = (b"connection", b"close")

logger = logging.getLogger("sigmoid_serve")


class Lifetime(Presence):
    """A connection as far as it goes on or ends.

    Args:
        config: Of uvicorn.
        server_state: Of uvicorn.
        app_state: Of uvicorn.
        context: Of the application.
        slot: Of the connection, among those that are allowed.

    Attributes:
        context: As given.
        slot: As given.
        readiness: Whether this process is shutting down.
        answered: When the last answer was written, on the loop's clock.
        linger_seconds: So long is read, and thrown away, after the last answer.
        is_ending: Whether the answer at hand is the last.
        refusal: What is answered after it to what was no whole request.
    """

    answered = 0.0
    linger_seconds = LAST_SECONDS
    is_ending = False
    refusal: ServiceError | None = None
    # Until when is read after the end.
    _over_until = 0.0
    # What `close_if_timed_out` saw last, and since when.
    _seen_headers: object = ()
    _seen_state = IDLE
    _seen_since = 0.0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        context: Context,
        slot: ConnectionSlot,
    ) -> None:
        settings = context.settings
        self.context = context
        self.slot = slot
        self.readiness = context.readiness
        self._kept = ((b"keep-alive", b"timeout=%d" % settings.keep_alive_seconds),)
        self._kept_by_old = ((b"connection", b"keep-alive"), *self._kept)
        super().__init__(config, server_state, app_state, settings)

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        self.slot.close = transport.abort

    @property
    @abstractmethod
    def is_answered(self) -> bool:
        """Whether no request waits for an answer."""

    @property
    @abstractmethod
    def application_reads(self) -> bool:
        """Whether the body that arrives is read by the application, in its time."""

    def last_headers(self, version: str, *, must_end: bool) -> HeaderLines:
        """Say in an answer whether the connection goes on after it.

        Args:
            version: Of HTTP, as the client speaks it.
            must_end: Whether it does not.
        """
        self.is_ending = must_end
        if must_end:
            return (_CLOSE,)
        # In version 1.0 it would end, if nothing were said.
        return self._kept_by_old if version == "1.0" else self._kept

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.asked = cycle
        super()._start_asgi_task(cycle, partial(self._ask, cycle, app))
        if self.has_stopped:
            self.probe_soon(cycle)

    async def _ask(
        self,
        cycle: RequestResponseCycle,
        app: ASGIApp,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Run the application, and say in its answer what becomes of the connection."""

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                last = self._last_headers(cycle, message["headers"])
                others = [line for line in message["headers"] if line[0] != _CLOSE[0]]
                message = {**message, "headers": [*others, *last]}
                self._hold_declared(message["headers"])
            await send(message)
            # Else uvicorn closes the connection, whatever still arrives.
            cycle.keep_alive = True

        await app(scope, receive, send_on)

    def _hold_declared(self, headers: HeaderLines) -> None:
        for name, value in headers:
            if name == b"content-length":
                self.hold_answer(int(value))

    def _last_headers(
        self, cycle: RequestResponseCycle, headers: HeaderLines
    ) -> HeaderLines:
        was_slow = _CLOSE in headers  # see `answer_to_error`
        seconds = self.context.settings.body_seconds
        must_be_short = was_slow or self.slot.exceeded
        self.linger_seconds = LAST_SECONDS if must_be_short else seconds
        must_end = was_slow or not cycle.keep_alive
        if cycle is self.cycle:  # no other waits behind it
            is_early = cycle.more_body and self._is_much_unread()
            is_draining = self.readiness.is_draining
            must_end = must_end or is_early or is_draining or self.has_sent_all
        return self.last_headers(cycle.scope["http_version"], must_end=must_end)

    def _is_much_unread(self) -> bool:
        """Tell whether an answer comes too early for another request to follow."""
        length = self.named_headers.get(b"content-length", b"")
        return (
            self.cycle.waiting_for_100_continue  # the body may never come
            or not length.isdigit()
            or int(length) - self.body_bytes > _SMALL_REST
        )

    def on_response_complete(self) -> None:
        """Go on with the next request, or end."""
        self.server_state.total_requests += 1
        self.answered = self.loop.time()
        self.release_answers()
        if self.transport.is_closing():
            return
        if self.is_ending:
            self.end()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.refusal:
            self.refuse(self.refusal)
        self.read_on()

    def end_with(self, cycle: RequestResponseCycle) -> None:
        """End with the answer to a request, though it may be written already."""
        self.is_last = True
        cycle.keep_alive = False
        if cycle.response_complete:
            self.end()
        elif cycle.response_started:
            self.is_ending = True

    def end(self) -> None:
        """End after the last answer; what still arrives is read for a while.

        To close a connection whose bytes were not read resets it, and a client that
        writes first and reads later would not see the answer.
        """
        has_read_all = self.receive_state == IDLE and not self.is_deaf
        self.is_last = self.is_deaf = self.is_over = True
        if has_read_all or self.has_stopped:
            self.transport.close()
            return
        self._over_until = self.loop.time() + self.linger_seconds
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def close_if_timed_out(self, now: float) -> None:
        """Close a connection whose client takes too long.

        Args:
            now: On the loop's clock; to be called every second or so.
        """
        limit = self.context.settings.write_seconds
        if self.unread_seconds(now) > limit:
            self.cut_off(f"client read nothing for {limit:g} s (SIGMOID_WRITE_SECONDS)")
        elif self.transport.is_closing():
            pass
        elif self.is_over:
            if now > self._over_until:
                self.transport.abort()
        elif self.has_backlog:
            self._seen_since = now
            self.notice_end()
        elif self.receive_state == IDLE and self.headers is not None:
            self._cut_if_idle(now)
        # Each message has a list of headers of its own.
        elif (
            self._seen_headers is not self.headers
            or self._seen_state != self.receive_state
        ):
            self._seen_headers, self._seen_state = self.headers, self.receive_state
            self._seen_since = now
        else:
            self._cut_if_late(now - self._seen_since)

    def _cut_if_late(self, seconds: float) -> None:
        settings = self.context.settings
        in_body = self.receive_state == BODY
        limit = settings.body_seconds if in_body else settings.header_seconds
        if self.slot.exceeded:
            limit = min(limit, EXTRA_SECONDS)
        if seconds <= limit:
            return
        if in_body and not self.application_reads:
            self.refuse(body_timeout_error(limit))
        elif self.receive_state == HEADER and self.is_answered:
            self.refuse(header_timeout_error(limit))
        elif self.is_answered:
            self.transport.close()

    def cut_off(self, why: str) -> None:
        """Give up a client that does not read its answer."""
        logger.info("connection closed: %s", why)
        self.context.telemetry.record_error(Abandoned("write"))
        peer.reset(self.transport)

    def _cut_if_idle(self, now: float) -> None:
        most = self.context.settings.keep_alive_seconds + _SPARE_SECONDS
        if (
            self.is_answered
            and now - self.answered > most
            # To close it now would lose a request that is there already.
            and not peer.has_sent(self.transport)
        ):
            self.transport.close()

    def shutdown(self) -> None:
        """End now, or with the answers to what has arrived whole.

        May be called again; what has begun to end then has little time left.
        """
        is_idle = self.receive_state == IDLE and self.is_answered
        if is_idle and not self.is_over and self.has_request_waiting():
            return  # its answer will be the last
        self.is_last = True
        if self.is_over:
            soon = self.loop.time() + LAST_SECONDS
            self._over_until = min(self._over_until, soon)
            return
        asked = self.asked
        self.drop_half_sent()
        is_half_sent = (
            self.receive_state == BODY and self.is_handed_on and asked is self.cycle
        )
        is_asking = asked and not asked.response_complete and not is_half_sent
        if not is_asking and (self.receive_state != IDLE or is_idle):
            self.transport.close()
