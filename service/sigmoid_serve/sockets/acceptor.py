"""How connections are taken in: all that wait, at each turn of the event loop.

The event loop's own way takes in one a turn. Under load, when a turn is long, most who
connect would wait until the kernel turns them away.
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
from sigmoid_serve.sockets.connection_limits import Admission, Guest

BACKLOG: Final = 2048

# Other workers may take what is left, and those who are in already have their turn.
_AT_ONCE: Final = 64

# So long another worker, which has fewer, may take a connection; then a few are taken.
_YIELD_SECONDS: Final = 1e-3
_AFTER_YIELD: Final = 2

# What the system says where there is no room for a connection, though there will be.
_NO_ROOM: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_SECONDS: Final = 1.0

logger = logging.getLogger("sigmoid_serve")


class Acceptor:
    """Takes in the connections of some listeners, on the running event loop.

    Args:
        listeners: Bound to their addresses.
        make_protocol: Makes the protocol of a connection, for who was taken.
        tls: The certificates, if it speaks TLS.
        handshake_seconds: Longest time for the handshake of TLS.
        balance: Of the workers that share the listeners.
        admission: Counts who is taken.

    Attributes:
        tls: As given; another may take its place, for those who connect from then on.
    """

    def __init__(
        self,
        listeners: Sequence[socket],
        make_protocol: Callable[[Guest], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        handshake_seconds: float,
        balance: Balance,
        admission: Admission,
    ) -> None:
        self._listeners = listeners
        self._make_protocol = make_protocol
        self.tls = tls
        self._handshake_seconds = handshake_seconds if tls else None
        self._balance = balance
        self._admission = admission
        self._has_yielded = False
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        balance.start()
        for listener in listeners:
            listener.listen(BACKLOG)
            listener.setblocking(False)
            self._watch(listener)

    def refuse(self) -> None:
        """Let nobody connect any more; who tries is refused once it is closed."""
        for listener in self._listeners:
            if listener.family == AF_UNIX:
                self._refuse_at_path(listener)
            else:
                _drop_syn(listener)

    def _refuse_at_path(self, listener: socket) -> None:
        # From now on it can always be read, as there is an end to be read.
        self._loop.remove_reader(listener)
        with suppress(OSError):
            listener.shutdown(SHUT_RD)
            while self._accept(listener):
                pass

    def close(self) -> None:
        """Let those in that have connected already.

        To close a listener resets the connections that wait there, also those that
        come in between the last look and the closing: hence `refuse`, some time before.
        """
        for listener in self._listeners:
            self._loop.remove_reader(listener)
            with suppress(OSError):
                while self._accept(listener):
                    pass
            listener.close()

    async def made(self, seconds: float) -> None:
        """Wait until the connections that were taken in are made, for no longer."""
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
            if error.errno not in _NO_ROOM:
                raise
            logger.error("accept failed: %s", error.strerror)
            self._watch_later(listener, _PAUSE_SECONDS)

    def _accept(self, listener: socket) -> bool:
        """Take in a connection; return whether there was one."""
        try:
            connection, address = listener.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionAbortedError:
            return True
        self._balance.opened()
        connection.setblocking(False)
        guest = self._admission.enter(address)
        # Until the connection is made; then it finds its end.
        guest.close = partial(_shut, connection)
        task = self._loop.create_task(self._connect(connection, guest))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _connect(self, connection: socket, guest: Guest) -> None:
        try:
            await self._loop.connect_accepted_socket(
                partial(self._make_protocol, guest),
                connection,
                ssl=self.tls,
                ssl_handshake_timeout=self._handshake_seconds,
            )
        except OSError:  # a client that breaks off its handshake is no fault of ours
            self._lost(guest)

    def _lost(self, guest: Guest) -> None:
        self._balance.closed()
        self._admission.leave(guest)


def _shut(connection: socket) -> None:
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
