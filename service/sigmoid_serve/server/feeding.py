"""How much of what has arrived is read at once, and when reading waits.

A client may send many requests in a row without reading an answer. They are read piece
by piece, a few in each turn of the event loop, so that others have their turn and a
client that has gone is noticed; and no further while many wait for their answer, or
while nobody reads the answers. What the client sends then stays with the system, which
tells it to wait.
"""

from abc import abstractmethod
from asyncio import Transport
from typing import Final

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# What of a request arrives next.
IDLE: Final = 0
HEADER: Final = 1
BODY: Final = 2

_PIECE_BYTES: Final = 2**12

# In one turn of the event loop so many chunks are read, or requests at their weight.
_MOST_WORK: Final = 1000
CHUNK_WORK: Final = 1
REQUEST_WORK: Final = 100

# So many requests wait for their turn at most, but for those of one piece.
_MOST_WAITING: Final = 16


class Flow(FlowControl):
    """Uvicorn's control of a transport, and a reason of ours to read no more from it.

    Attributes:
        is_held: Whether what has arrived is to be read first.
    """

    is_held = False

    def pause_reading(self) -> None:
        """Read no more, as uvicorn has it."""
        if not self.is_held:
            super().pause_reading()
        self.read_paused = True

    def resume_reading(self) -> None:
        """Read on, as far as uvicorn is concerned."""
        if not self.is_held:
            super().resume_reading()
        self.read_paused = False

    def hold(self) -> None:
        """Read no more for now."""
        if not (self.is_held or self.read_paused):
            self._transport.pause_reading()
        self.is_held = True

    def let_go(self) -> None:
        """Read on, unless uvicorn would not."""
        if self.is_held and not self.read_paused:
            self._transport.resume_reading()
        self.is_held = False


class Feeder(HttpToolsProtocol):
    """A connection as far as its bytes wait to be read.

    Attributes:
        receive_state: What arrives next: `IDLE`, `HEADER` or `BODY`.
        work: What was read in this turn of the event loop, see `CHUNK_WORK`.
        flow: Of the transport.
    """

    receive_state = IDLE
    work = 0
    flow: Flow
    _backlog: bytes | memoryview = b""
    _is_due = False

    @abstractmethod
    def read(self, data: bytes) -> None:
        """Read some bytes."""

    @abstractmethod
    def body_rest(self) -> int:
        """Say how many bytes of a body are still to come, as far as that is known."""

    @property
    def has_backlog(self) -> bool:
        """Whether bytes have arrived that were not read yet."""
        return bool(self._backlog)

    @property
    def is_crowded(self) -> bool:
        """Whether another request is not to be read now."""
        return len(self.pipeline) >= _MOST_WAITING or (
            self.flow.write_paused and self.receive_state == IDLE
        )

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        self.flow = Flow(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was not read."""
        self._backlog = b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what has arrived, or its first pieces."""
        is_piece = len(data) <= _PIECE_BYTES or len(data) <= self.body_rest()
        if is_piece and not self._backlog and not self.pipeline:
            self.read(data)
            return
        self._backlog = b"".join((self._backlog, data)) if self._backlog else data
        if not self._is_due:
            self._read_pieces()

    def resume_writing(self) -> None:
        """Go on, as the client reads."""
        super().resume_writing()
        self.read_on()

    def read_on(self) -> None:
        """Read what has waited, soon."""
        if self._backlog and not self._is_due:
            self._is_due = True
            self.loop.call_soon(self._read_pieces)

    def _read_pieces(self) -> None:
        self._is_due = False
        self.work = 0
        rest = memoryview(self._backlog)
        while rest and not self.transport.is_closing():
            if self.is_crowded:
                break  # `read_on` follows
            if self.work >= _MOST_WORK:
                self._is_due = True
                self.loop.call_soon(self._read_pieces)
                break
            size = max(_PIECE_BYTES, self.body_rest())
            self._backlog = rest[size:]
            self.read(bytes(rest[:size]))
            rest = memoryview(self._backlog)
        self._backlog = rest
        if rest:
            self.flow.hold()
        else:
            self.flow.let_go()
