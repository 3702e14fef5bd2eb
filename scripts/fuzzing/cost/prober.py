"""How long `/livez` is silent, of several servers at once.

A program, so that nothing in the process that sends the requests delays it. Each line
that it reads is the servers, as `port:pid`; it then asks all of them every few
milliseconds, each on a connection of its own, until the next, empty line, and prints
the longest wait of each, in seconds. What a server's first thread, which is that of its
event loop, waited for a CPU meanwhile does not count: others had it.
"""

import select
import socket
from collections.abc import Sequence
from contextlib import suppress
from time import perf_counter
from typing import NamedTuple

from fuzzing.cost import processes
from fuzzing.cost.answers import Answers

_PERIOD = 0.004
_ASKED = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Probed(NamedTuple):
    """A server.

    Attributes:
        port: Of 127.0.0.1.
        pid: Its process; 0 where that does not matter.
    """

    port: int
    pid: int


class _Connection:
    """A connection that is asked again and again."""

    def __init__(self, server: Probed) -> None:
        port, self._pid = server
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.longest = 0.0
        self._asked_at = self._queued_before = 0.0
        self._answers = Answers()
        self._is_asked = False
        self.is_open = True

    def ask(self) -> None:
        """Ask, where no answer is due."""
        if self.is_open and not self._is_asked:
            self._asked_at, self._is_asked = perf_counter(), True
            self._queued_before = processes.queued_seconds(self._pid)
            self._answers = Answers()
            try:
                self.socket.sendall(_ASKED)
            except OSError:
                self.is_open = False

    def answered(self) -> None:
        """Take in an answer, or a part of it."""
        received = b""
        with suppress(OSError):
            received = self.socket.recv(2**16)
        self._answers.feed(received)
        if self._answers.count or not received:
            self.note()
            self._is_asked, self.is_open = False, bool(received)

    def note(self) -> None:
        """Note how long it has taken so far."""
        if self._is_asked:
            queued = processes.queued_seconds(self._pid) - self._queued_before
            wait = perf_counter() - self._asked_at - queued
            self.longest = max(self.longest, wait)


def longest_waits(servers: Sequence[Probed], stop: int) -> list[float]:
    """Ask servers for `/livez` again and again, all of them at once.

    Args:
        servers: Them.
        stop: File descriptor that can be read once it is enough.

    Returns:
        The longest wait for each, in seconds.
    """
    probed = [_Connection(server) for server in servers]
    due = perf_counter()
    ready: list[int] = []
    while stop not in ready:
        if perf_counter() >= due:
            due = max(due + _PERIOD, perf_counter())
            for one in probed:
                one.ask()
        waiting = {one.socket.fileno(): one for one in probed if one.is_open}
        wait = max(0.0, due - perf_counter())
        ready, _, _ = select.select([*waiting, stop], [], [], wait)
        for file in set(ready) & waiting.keys():
            waiting[file].answered()
    for one in probed:
        one.note()
        one.socket.close()
    return [one.longest for one in probed]


def main() -> None:
    """Probe as often as told."""
    with open(0, "rb", buffering=0) as commands:
        while line := commands.readline():
            print("asking", flush=True)
            servers = [Probed(*map(int, server.split(b":"))) for server in line.split()]
            print(*longest_waits(servers, commands.fileno()), flush=True)
            commands.readline()


if __name__ == "__main__":
    main()
