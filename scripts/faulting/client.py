"""One connection to a server, on an event loop: ready bytes out, whole answers in."""

import asyncio
from typing import NamedTuple, cast

from benchmark.client import Request
from faulting import FaultError

_END = b"\r\n\r\n"


class Lost(Exception):
    """A request that was sent and got no whole answer; why, in a few words."""


class Answer(NamedTuple):
    """An answer.

    Attributes:
        status: Its code.
        head: Its first line and headers, in lower case.
        body: What follows, and anything behind it that does not belong there.
    """

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str:
        """Return a header, or an empty text."""
        for line in self.head.split(b"\r\n")[1:]:
            found, _, value = line.partition(b":")
            if found == name.lower().encode():
                return value.strip().decode("latin-1")
        return ""


class Connection(asyncio.Protocol):
    """One connection; it expects one answer at a time.

    Attributes:
        is_open: Whether another request may be sent: it is connected, and no answer
            said that it will be closed.
        ended: Done when the other side has closed it, or reset it.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.is_open = False
        self.ended: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._chunks: list[bytes] = []
        self._received = 0
        self._head = b""
        self._needed = 0

    def expect(self) -> asyncio.Future[Answer]:
        """Return what will be the next answer, or the error `Lost`."""
        self._chunks, self._received, self._head, self._needed = [], 0, b"", 0
        answer = self._answer = self._loop.create_future()
        if self.ended.done():
            self._lose("closed before its request")
        return answer

    def send(self, data: bytes) -> None:
        """Send bytes, now or when the other side takes them."""
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)

    async def ask(self, message: bytes, seconds: float) -> Answer:
        """Send a request and wait for the answer.

        Args:
            message: All of its bytes.
            seconds: Longest wait.

        Raises:
            Lost: There is no answer.
        """
        answer = self.expect()
        self.send(message)
        timer = self._loop.call_later(
            seconds, self._lose, f"no answer in {seconds:g} s"
        )
        try:
            return await answer
        finally:
            timer.cancel()

    def close(self) -> None:
        """Close it; what was not sent yet is not sent where an answer is due."""
        self.is_open = False
        if self._transport and self._answer:
            self._transport.abort()
        elif self._transport:
            self._transport.close()

    def leave(self) -> None:
        """Close it once all has been sent, without waiting for an answer."""
        self.is_open = False
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by type
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Take in a part of an answer."""
        self._chunks.append(data)
        self._received += len(data)
        if not self._needed:
            whole = _without_interim(b"".join(self._chunks))
            self._chunks, self._received = [whole], len(whole)
            end = whole.find(_END)
            if end < 0:
                return
            self._head = whole[:end].lower()
            self._needed = end + len(_END) + _length(self._head)
        if self._received >= self._needed and self._answer:
            self._finish(b"".join(self._chunks))

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        self.is_open = False
        if not self.ended.done():
            self.ended.set_result(None)
        how = "reset" if isinstance(exc, ConnectionResetError) else "closed"
        if exc is not None and how == "closed":
            how = type(exc).__name__
        self._lose(f"{how} {'within' if self._received else 'before'} its answer")

    def _finish(self, whole: bytes) -> None:
        answer, self._answer = self._answer, None
        if b"\r\nconnection: close" in self._head:
            self.is_open = False
        body = whole[len(self._head) + len(_END) :]
        if answer and not answer.done():
            answer.set_result(Answer(int(self._head[9:12]), self._head, body))

    def _lose(self, why: str) -> None:
        answer, self._answer = self._answer, None
        if answer and not answer.done():
            self.is_open = False
            answer.set_exception(Lost(why))


async def connect(port: int) -> Connection:
    """Connect to 127.0.0.1.

    Raises:
        OSError: Nobody listens there.
    """
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
    return connection


async def ask_once(port: int, request: Request, seconds: float = 60) -> Answer:
    """Ask on a connection of its own.

    Raises:
        OSError: Nobody listens there.
        Lost: There is no answer.
    """
    connection = await connect(port)
    try:
        return await connection.ask(request.message(), seconds)
    finally:
        connection.close()


async def metric(port: int, name: str) -> float:
    """Read a metric of the server: the sum over all series of that name."""
    answer = await ask_once(port, Request("GET", "/metrics"))
    if answer.status != 200:
        raise FaultError(f"/metrics answered {answer.status}")
    lines = [line.rpartition(" ") for line in answer.body.decode().splitlines()]
    return sum(float(value) for key, _, value in lines if key.split("{")[0] == name)


def _without_interim(data: bytes) -> bytes:
    """Leave out answers such as `100 Continue` (RFC 9110, section 15.2)."""
    while data.startswith(b"HTTP/1.1 1") and _END in data:
        data = data.partition(_END)[2]
    return data


def _length(head: bytes) -> int:
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if not found:
        return 0
    return int(rest.split(b"\r\n", 1)[0])
