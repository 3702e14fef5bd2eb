"""How answers leave a connection: whether its client reads them, and what they hold."""

from abc import abstractmethod
from typing import Final

from sigmoid_serve.server import peer
from sigmoid_serve.server.reading import Reader
from sigmoid_serve.server.unread import SHORT_BYTES, Unread

_NEVER: Final = -1.0


class Writer(Reader):
    """The writing half of a connection.

    Attributes:
        unread: What is held of the answers of all connections.
        read_at: When the client has read something last, as far as is known.
    """

    unread: Unread
    read_at = _NEVER
    _waiting_bytes = 0
    _holds = False

    @abstractmethod
    def cut_off(self, why: str) -> None:
        """Give up a client that does not read its answer."""

    @property
    def is_answering(self) -> bool:
        """Whether the application is writing an answer."""
        return self.cycle is not None and not self.cycle.response_complete

    def hold_answer(self, length: int) -> None:
        """Count an answer that is about to be written, if it is long."""
        if length > SHORT_BYTES:
            if not self._holds:
                self.read_at = self.loop.time()
            self._holds = True
            self.unread.hold(self, length)

    def release_answers(self) -> None:
        """Count no more what has left this process."""
        if (
            self._holds
            and not self.is_answering
            and self.transport.get_write_buffer_size() <= SHORT_BYTES
        ):
            self._holds = False
            self.unread.release(self)

    def unread_seconds(self, now: float) -> float:
        """Say for how long the client has read nothing of what waits for it.

        Args:
            now: On the loop's clock.
        """
        waiting = self.transport.get_write_buffer_size()
        # Of TLS it tells only what is not encrypted yet. What the system holds tells
        # of a client that reads little by little, long before more can be handed on.
        if waiting or self.scheme == "https":
            waiting += peer.unread_bytes(self.transport)
        if waiting < self._waiting_bytes or not (waiting and self._waiting_bytes):
            self.read_at = now
        self._waiting_bytes = waiting
        self.release_answers()
        return now - self.read_at

    def resume_writing(self) -> None:
        """Go on, as the client reads."""
        self.read_at = self.loop.time()
        super().resume_writing()
        self.release_answers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what was not read."""
        if self._holds:
            self._holds = False
            self.unread.release(self)
        super().connection_lost(exc)
