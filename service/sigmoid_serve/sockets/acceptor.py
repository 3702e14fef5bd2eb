"""Accepting of connections: all that wait, at each turn of the event loop.

The event loop by itself accepts one connection per turn. Under load turns are long, and
most clients would wait until the kernel refuses them.
"""

import asyncio
import ctypes
import errno
import logging
import ssl
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from socket import AF_UNIX, SHUT_RD, SHUT_RDWR, SOL_SOCKET, socket
from typing import Final

from sigmoid_serve.sockets.balance import Balance
from sigmoid_serve.sockets.connection_limits import ConnectionLimits, ConnectionSlot

BACKLOG: Final = 2048

# Then other workers may accept the rest, and open connections have their turn.
_AT_ONCE: Final = 64

# A worker with fewer connections has so long to accept one; then a few are accepted.
_YIELD_SECONDS: Final = 1e-3
_AFTER_YIELD: Final = 2

# Errors of the system when it is short of files or memory, which passes.
_NO_RESOURCES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_SECONDS: Final = 1.0

logger = logging.getLogger("sigmoid_serve")


class Acceptor:
    """Accepts the connections of some listeners, on the running event loop.

    Args:
        listeners: Sockets that are bound to their addresses.
        make_protocol: Makes the protocol of a connection, given its slot.
        tls: The certificates, if TLS is spoken.
        handshake_seconds: Longest time for the handshake of TLS.
        balance: Of the workers that share the listeners.
        limits: Of the connections.

    Attributes:
        tls: As given; may be replaced, for connections accepted from then on.
    """

    def __init__(
        self,
        listeners: Sequence[socket],
        make_protocol: Callable[[ConnectionSlot], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        handshake_seconds: float,
        balance: Balance,
        limits: ConnectionLimits,
    ) -> None:
        self._listeners = listeners
        self._make_protocol = make_protocol
        self.tls = tls
        self._handshake_seconds = handshake_seconds if tls else None
        self._balance = balance
        self._limits = limits
        self._has_yielded = False
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        balance.start()
        for listener in listeners:
            listener.listen(BACKLOG)
            listener.setblocking(False)
            self._watch(listener)

    def stop_new_connections(self) -> None:
        """Have the kernel complete no new connections.

        Clients that try are refused once the listeners are closed.
        """
        for listener in self._listeners:
            if listener.family == AF_UNIX:
                self._refuse_at_path(listener)
            else:
                _drop_syn(listener)

    def _refuse_at_path(self, listener: socket) -> None:
        # From now on it is always readable, as it is at its end of file.
        self._loop.remove_reader(listener)
        with suppress(OSError):
            listener.shutdown(SHUT_RD)
            while self._accept(listener):
                pass

    def drain_backlog_and_close(self) -> None:
        """Accept the connections still in the backlog, then close the listeners.

        Closing resets the connections that wait in the backlog, also those that arrive
        after the last accept: so call `stop_new_connections` some time before.
        """
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            with suppress(OSError):
                while self._accept(listener):
                    pass
            listener.close()

    async def wait_until_made(self, seconds: float) -> None:
        """Wait until the accepted connections have their protocols, or time is over."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def _watch(self, listener: socket) -> None:
        if listener.fileno() >= 0:
            self._loop.add_reader(listener, self._accept_waiting, listener)

    def _watch_later(self, listener: socket, seconds: float) -> None:
        self._loop.remove_reader(listener)
        self._loop.call_later(seconds, self._watch, listener)

    def _accept_waiting(self, listener: socket) -> None:
        may_yield = not self._has_yielded
        self._has_yielded = False
        try:
            for _ in range(_AT_ONCE if may_yield else _AFTER_YIELD):
                if may_yield and self._balance.is_above_the_fewest():
                    self._has_yielded = True
                    self._watch_later(listener, _YIELD_SECONDS)
                    return
                if not self._accept(listener):
                    return
        except OSError as error:
            if error.errno not in _NO_RESOURCES:
                raise
            logger.error("accept failed: %s", error.strerror)
            self._watch_later(listener, _PAUSE_SECONDS)

    def _accept(self, listener: socket) -> bool:
        """Accept a connection; return whether one was waiting."""
        try:
            connection, address = listener.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionAbortedError:
            return True
        self._balance.opened()
        connection.setblocking(False)
        slot = self._limits.acquire(address)
        # Until there is a protocol; one that is made later sees that it is closed.
        slot.close = partial(_shut_down, connection)
        task = self._loop.create_task(self._connect(connection, slot))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _connect(self, connection: socket, slot: ConnectionSlot) -> None:
        try:
            await self._loop.connect_accepted_socket(
                partial(self._make_protocol, slot),
                connection,
                ssl=self.tls,
                ssl_handshake_timeout=self._handshake_seconds,
            )
        except OSError:  # the client broke off its handshake
            self._lost(slot)

    def _lost(self, slot: ConnectionSlot) -> None:
        self._balance.closed()
        self._limits.release(slot)


def _shut_down(connection: socket) -> None:
    with suppress(OSError):  # its client may have gone
        connection.shutdown(SHUT_RDWR)


# A program for classic BPF, https://docs.kernel.org/networking/filter.html: code, jump
# if true, jump if false, operand. The packet begins with the header of TCP, RFC 9293.
_DROP_SYN: Final = (
    (0x30, 0, 0, 13),  # load the byte of the flags
    (0x45, 0, 1, 0x02),  # go on where SYN is set, else pass over the next
    (0x06, 0, 0, 0),  # drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # keep it
)
_SO_ATTACH_FILTER: Final = 26  # of Linux, in asm-generic/socket.h


def _drop_syn(listener: socket) -> None:
    """Have the kernel drop what would begin a connection; on Linux alone."""
    if sys.platform != "linux":
        return
    code = b"".join(struct.pack("HBBI", *line) for line in _DROP_SYN)
    kept = ctypes.create_string_buffer(code)
    program = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(kept))
    try:
        listener.setsockopt(SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError as error:  # not every container allows it
        logger.warning(
            "no packet filter: connections during shutdown may be reset: %s",
            error.strerror,
        )
