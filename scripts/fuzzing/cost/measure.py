"""What one request costs the server."""

import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Final, Self

from fuzzing import FuzzError
from fuzzing.cost import processes, server
from fuzzing.cost.answers import Answers
from fuzzing.cost.limits import CUT, ENDED, Cost, limits
from fuzzing.cost.space import Request

# Once it costs so many times what it may, the rest does not matter.
_ENOUGH: Final = 3.0
_KEPT_BYTES: Final = 32 * 2**20
_GIVE_UP_SECONDS: Final = 5.0
_BYTES_PER_SECOND: Final = 8 * 2**20
_TURN_SECONDS: Final = 0.02
_BUSY_SHARE: Final = 0.1
_IDLE_SECONDS: Final = 0.5
# What is over in this time was silent for no longer.
_SHORT_SECONDS: Final = 0.04
_SCRIPTS: Final = Path(__file__).parents[2]


class Bench:
    """A server, an empty one beside it, and who asks both for `/livez`.

    Args:
        folder: For the servers' logs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: server.Server | None = None
        self._empty = server.start_empty(folder)
        self._prober = subprocess.Popen(
            [sys.executable, "-m", "fuzzing.cost.prober"],
            cwd=_SCRIPTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.restart()
        self._empty.stop()
        self._prober.kill()
        self._prober.communicate()

    def restart(self) -> None:
        """Have the next request meet a fresh server."""
        if self._server:
            self._server.stop()
            self._server = None

    def cost(self, request: Request) -> Cost:
        """Send a request twice: once in silence, for what the server uses; then probed.

        Raises:
            FuzzError: A server does not start.
        """
        start = monotonic()
        alone = _used(self._fresh(), request)
        is_short = monotonic() - start < _SHORT_SECONDS
        if is_short or (alone.end and not alone.is_cut):
            return alone
        if alone.is_cut:
            self.restart()
        serving = self._fresh()
        with self._probing(serving) as waits:
            sleep(_TURN_SECONDS)
            probed = _used(serving, request)
        self._leave_if_changed(serving)
        ours, theirs = waits
        return alone._replace(
            silence_seconds=ours,
            empty_seconds=theirs,
            end=alone.end or ("" if probed.is_cut else probed.end),
        )

    def _fresh(self) -> server.Server:
        if self._server and not self._server.is_alive:
            self.restart()
        if not self._server:
            self._server = server.start(self._folder)
        return self._server

    def _leave_if_changed(self, serving: server.Server) -> None:
        """Let a server go that is not as it was at its start."""
        kept = processes.resident(serving.pids()) - serving.at_start
        if not serving.is_idle() or kept > _KEPT_BYTES:
            self.restart()

    @contextmanager
    def _probing(self, serving: server.Server) -> Iterator[list[float]]:
        waits: list[float] = []
        probed = (serving, self._empty)
        self._tell(" ".join(f"{one.port}:{one.pids()[0]}" for one in probed))
        try:
            yield waits
        finally:
            waits += map(float, self._tell("").split())

    def _tell(self, line: str) -> str:
        assert self._prober.stdin
        assert self._prober.stdout
        with suppress(BrokenPipeError):
            self._prober.stdin.write(f"{line}\n")
            self._prober.stdin.flush()
        said = self._prober.stdout.readline().strip()
        if not said:
            raise FuzzError("the prober ended")
        return said


class _Watched:
    """What a server has used since a moment, and whether it is enough.

    Args:
        serving: The server.
        request: What it is about to be sent.

    Attributes:
        cpu_seconds: So far.
        memory_bytes: The highest so far, beyond what was resident at first.
    """

    def __init__(self, serving: server.Server, request: Request) -> None:
        may = limits(request.size, request.answers, 0).cpu_seconds
        self._serving = serving
        self._most = _ENOUGH * may + 1.0
        pids = serving.pids()
        processes.forget_peaks(pids)
        self._memory = processes.resident(pids)
        self._cpu = processes.cpu_seconds(pids)
        self._moved = (monotonic(), 0.0)
        self._end = monotonic() + _GIVE_UP_SECONDS + request.size / _BYTES_PER_SECOND
        self.cpu_seconds = 0.0
        self.memory_bytes = 0

    def look(self) -> None:
        """Look again, while it is alive."""
        pids = self._serving.pids()
        if self._serving.is_alive:
            cpu = processes.cpu_seconds(pids) - self._cpu
            memory = processes.resident(pids, "VmHWM") - self._memory
            self.cpu_seconds = max(self.cpu_seconds, cpu)
            self.memory_bytes = max(self.memory_bytes, memory)
        if self._serving.was_too_large:
            self.memory_bytes = server.MAX_RESIDENT

    @property
    def is_enough(self) -> bool:
        """Whether there is nothing more to learn: it has ended, or goes on and on."""
        is_long = self.cpu_seconds > self._most or monotonic() > self._end
        return is_long or not self._serving.is_alive

    def is_idle(self) -> bool:
        """Whether it has not done anything worth mentioning for a while."""
        since, cpu = self._moved
        seconds = monotonic() - since
        if self.cpu_seconds - cpu > _BUSY_SHARE * max(seconds, _IDLE_SECONDS):
            self._moved = monotonic(), self.cpu_seconds
            return False
        return seconds > _IDLE_SECONDS


def _used(serving: server.Server, request: Request) -> Cost:
    """Send a request; note CPU and memory until the server is idle again."""
    watched = _Watched(serving, request)
    answers = Answers()
    with suppress(ConnectionError):  # such as of a server that has ended
        _exchange(serving.port, request, answers, watched)
    while not (watched.is_enough or serving.is_idle()):
        watched.look()
    watched.look()
    end = ""
    if serving.was_too_large:
        end = "ended for its memory"
    elif not serving.is_alive:
        end = ENDED
    elif watched.is_enough:
        end = CUT
    return Cost(
        size=request.size,
        requests=request.answers,
        answer_bytes=answers.size,
        status=answers.status,
        cpu_seconds=watched.cpu_seconds,
        memory_bytes=watched.memory_bytes,
        end=end,
    )


def _exchange(port: int, request: Request, answers: Answers, watched: _Watched) -> None:
    """Send all of it, reading what comes, until the answers are there."""
    left = memoryview(request.message)
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.setblocking(False)
        while left or answers.count < request.answers:
            readable, writable, _ = select.select(
                [connection], [connection] if left else [], [], _TURN_SECONDS
            )
            if readable:
                received = connection.recv(2**20)
                if not received:
                    break
                answers.feed(received)
            if writable:
                left = left[connection.send(left) :]
            if not (readable or writable):
                watched.look()
                if watched.is_idle():
                    break
            if watched.is_enough:
                break
