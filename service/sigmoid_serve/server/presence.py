"""Whether the client of a connection is still there.

It may stop sending and wait for its answer, or go away; and either may be behind bytes
that are not read now.
"""

from abc import abstractmethod
from typing import Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from sigmoid_serve.server import peer
from sigmoid_serve.server.feeding import BODY
from sigmoid_serve.server.writing import Writer

# Whether a client is still there that has stopped sending is found out after so long,
# and again after twice the time, up to the longest. Every answer begins with the byte
# that asks for it.
_FIRST_PROBE_SECONDS: Final = 0.002
_LONGEST_PROBE_SECONDS: Final = 0.25
_PROBE: Final = b"H"


class Presence(Writer):
    """A connection as far as its client is there.

    Attributes:
        asked: The request that the application answers, now or last.
        has_stopped: Whether the client has stopped sending.
    """

    asked: RequestResponseCycle | None = None
    has_stopped = False

    @property
    def has_sent_all(self) -> bool:
        """Whether all that the client will ever send has been read."""
        return self.has_stopped and not self.has_backlog

    def has_request_waiting(self) -> bool:
        """Tell whether bytes are about to be read, as soon as the event loop does."""
        flow = self.flow
        return not (flow.is_held or flow.read_paused) and peer.has_sent(self.transport)

    @abstractmethod
    def answer_at_once(self) -> None:
        """Write the answers that are waited for, as far as that is possible."""

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what was asked, though the client sends no more.

        Returns:
            Whether the connection is kept, to write to it.
        """
        self.has_stopped = True
        self.answer_at_once()
        asked = self.asked
        if self.scheme == "https" or asked is None or asked.response_complete:
            return False
        if self.receive_state == BODY and asked is self.cycle:  # the rest will not come
            return False
        self.drop_half_sent()
        self.probe_soon(asked)
        return True

    def drop_half_sent(self) -> None:
        """Ask no more what waits behind other requests and has not arrived whole."""
        is_of_last = self.receive_state == BODY and self.is_handed_on
        if is_of_last and self.pipeline and self.asked:
            self.pipeline.popleft()
            self.cycle = self.pipeline[0][0] if self.pipeline else self.asked
            self.is_handed_on = False

    def _probe(
        self, asked: RequestResponseCycle, seconds: float = _FIRST_PROBE_SECONDS
    ) -> None:
        """Find out whether anybody still waits for an answer that takes its time.

        A client that has closed its end is told from one that has only stopped sending
        by what its system says to the next byte.
        """
        if self.transport.is_closing() or asked.response_started:
            return
        if peer.has_gone(self.transport):
            self.transport.abort()
            return
        if asked.transport is self.transport:
            self.transport.write(_PROBE)
            asked.transport = peer.Continued(self.transport, len(_PROBE))  # type: ignore[assignment]
        seconds = min(2 * seconds, _LONGEST_PROBE_SECONDS)
        self.loop.call_later(seconds, self._probe, asked, seconds)

    def probe_soon(self, asked: RequestResponseCycle) -> None:
        """Find out in a moment whether anybody still waits for an answer."""
        self.loop.call_later(_FIRST_PROBE_SECONDS, self._probe, asked)

    def notice_end(self) -> None:
        """Find out that a client has gone, though nothing is read from it now."""
        asked = self.asked
        if self.has_stopped or asked is None or asked.response_complete:
            return
        if peer.has_stopped(self.transport):
            self.has_stopped = True
            self.probe_soon(asked)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the application know, and begin nothing that waits."""
        self.pipeline.clear()
        if self.asked and not self.asked.response_complete:
            self.asked.disconnected = True
            self.asked.message_event.set()
        super().connection_lost(exc)
