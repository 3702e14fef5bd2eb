"""What the kernel knows of a connection's other side, without a read or a write."""

import select
from asyncio import BaseTransport, Transport
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
