"""Many kept connections, and when each answer came, by the clock of the kernel.

The client never sleeps while it measures, so a request leaves when it is due. An answer
counts from the moment at which the kernel received it, not from when this program got
round to reading it: what the client takes for itself is not in a latency.
"""

import select
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final, NamedTuple

from simulating import SizingError

# SO_TIMESTAMPNS of asm-generic/socket.h, which Python has no name for; socket(7).
_STAMP: Final = 35
_STAMP_SIZE: Final = socket.CMSG_SPACE(struct.calcsize("@qq"))
_READ_BYTES: Final = 2**20


class Arrival(NamedTuple):
    """An answer.

    Attributes:
        wire: Number of the connection.
        nanoseconds: When its last byte was received, since the epoch.
        head: Its status and headers.
    """

    wire: int
    nanoseconds: int
    head: bytes


class Wires:
    """Connections to one server that all send the same request.

    Args:
        port: Of 127.0.0.1.
        message: The request's bytes.
        count: How many connections.
        stack: Closes them.
    """

    def __init__(self, port: int, message: bytes, count: int, stack: ExitStack) -> None:
        self._message = message
        self._poll = stack.enter_context(select.epoll())
        self._buffer = bytearray(_READ_BYTES)
        self._sockets: dict[int, socket.socket] = {}
        self._heads: dict[int, bytes] = {}
        self._missing: dict[int, int] = {}
        self._unsent: dict[int, memoryview] = {}
        for _ in range(count):
            wire = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.setsockopt(socket.SOL_SOCKET, _STAMP, 1)
            wire.setblocking(False)
            self._sockets[wire.fileno()] = wire
            self._poll.register(wire.fileno(), select.EPOLLIN)
        self.names = [*self._sockets]

    def send(self, wire: int) -> None:
        """Ask on a connection that waits for no answer."""
        self._missing[wire] = -1
        self._heads[wire] = b""
        self._send_rest(wire, memoryview(self._message))

    def arrived(self) -> Iterator[Arrival]:
        """Read what there is, and name the answers that are whole; never wait.

        Raises:
            SizingError: The server answered anything but 200, or hung up.
        """
        for wire, event in self._poll.poll(0):
            if event & select.EPOLLOUT:
                self._send_rest(wire, self._unsent.pop(wire))
            if event & ~select.EPOLLOUT:
                stamp = self._read(wire)
                if stamp:
                    yield Arrival(wire, stamp, self._heads[wire])

    def _send_rest(self, wire: int, rest: memoryview) -> None:
        try:
            sent = self._sockets[wire].send(rest)
        except BlockingIOError:
            sent = 0
        if sent == len(rest):
            if len(rest) != len(self._message):
                self._poll.modify(wire, select.EPOLLIN)
            return
        self._unsent[wire] = rest[sent:]
        self._poll.modify(wire, select.EPOLLIN | select.EPOLLOUT)

    def _read(self, wire: int) -> int:
        """Read once; return when the answer came, 0 where some of it is missing."""
        connection = self._sockets[wire]
        try:
            count, extra, _, _ = connection.recvmsg_into([self._buffer], _STAMP_SIZE)
        except BlockingIOError:
            return 0
        if not count:
            raise SizingError("the server closed a connection under load")
        missing = self._missing[wire]
        if missing < 0:
            missing = self._find_end(wire, count)
        else:
            missing -= count
        self._missing[wire] = missing
        if missing:
            return 0
        seconds: int
        nanoseconds: int
        seconds, nanoseconds = struct.unpack("@qq", extra[0][2])
        return seconds * 1_000_000_000 + nanoseconds

    def _find_end(self, wire: int, count: int) -> int:
        """Say how many bytes are missing, -1 while the head is not whole."""
        head = self._heads[wire] + bytes(self._buffer[: min(count, 4096)])
        end = head.find(b"\r\n\r\n")
        if end < 0:
            self._heads[wire] = head
            return -1
        before = len(self._heads[wire])
        self._heads[wire] = head[:end]
        if not head.startswith(b"HTTP/1.1 200"):
            status = head.partition(b"\r\n")[0].decode(errors="replace")
            raise SizingError(f"the server answered {status!r} under load, and not 200")
        place = head.lower().find(b"content-length:", 0, end)
        length = int(head[place + 15 : head.find(b"\r\n", place)])
        return end + 4 + length - before - count
