"""What the kernel knows of a connection's other side, without a read or a write."""

import fcntl
import select
import struct
import sys
import termios
from asyncio import BaseTransport, Transport
from contextlib import suppress
from socket import SO_LINGER, SOL_SOCKET
from typing import Any


def has_gone(transport: BaseTransport) -> bool:
    """Tell whether nobody is left to answer: the connection is closed on both sides.

    A client that has only stopped sending is still there. From one that has closed its
    end, a TCP connection learns so by the answer to the next byte that it sends.
    """
    return bool(_events(transport, 0) & (select.POLLHUP | select.POLLERR))


def has_sent(transport: BaseTransport) -> bool:
    """Tell whether bytes, or the end, have arrived that were not read yet."""
    return bool(_events(transport, select.POLLIN))


def has_stopped(transport: BaseTransport) -> bool:
    """Tell whether the other side sends no more, though bytes of it may wait here."""
    mask = getattr(select, "POLLRDHUP", 0)  # of Linux alone
    return bool(_events(transport, mask) & (mask | select.POLLHUP | select.POLLERR))


def unread_bytes(transport: BaseTransport) -> int:
    """Count what the system holds for the other side and has not brought there."""
    connection = transport.get_extra_info("socket")
    if connection is None or connection.fileno() < 0:
        return 0
    held = bytearray(4)
    with suppress(OSError):
        # SIOCOUTQ of tcp(7) and unix(7) has the number of the terminals' TIOCOUTQ.
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, held)
    return int.from_bytes(held, sys.byteorder)


def reset(transport: Transport) -> None:
    """End a connection, and throw away what the system still holds for its client."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _events(transport: BaseTransport, mask: int) -> int:
    connection = transport.get_extra_info("socket")
    if connection is None or connection.fileno() < 0:
        return select.POLLHUP
    poll = select.poll()
    poll.register(connection.fileno(), mask)
    found = poll.poll(0)
    return found[0][1] if found else 0


class Continued:
    """A transport to which the first bytes of an answer were written already.

    Args:
        transport: Of the connection.
        written: So many bytes of what will be written first are on their way.
    """

    def __init__(self, transport: Transport, written: int) -> None:
        self._transport = transport
        self._written = written

    def write(self, data: bytes) -> None:
        """Write what is not written yet."""
        self._transport.write(data[self._written :])
        self._written = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
