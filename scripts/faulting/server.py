"""The server under test: started, watched, told to end, stopped whatever happens."""

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TextIO

from benchmark.client import Request
from benchmark.payloads import Task
from benchmark.programs import ours
from benchmark.servers import resident_bytes, running
from faulting import FaultError
from faulting.client import Answer, ask_once

READY = Request("GET", "/readyz")
_ESTABLISHED = "01"
_END_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A server that is ready.

    Attributes:
        port: Of 127.0.0.1.
        pid: Of the process that serves, or that supervises several.
        log: What it has said so far, from the beginning.
    """

    port: int
    pid: int
    log: TextIO

    def said(self) -> str:
        """Read its log."""
        self.log.seek(0)
        return self.log.read()

    def workers(self) -> dict[int, int]:
        """Find the process of each worker by its number, as the log tells it."""
        found = re.findall(r"worker (\d+) started, process (\d+)", self.said())
        return {int(number): int(pid) for number, pid in found}

    def surprises(self) -> list[str]:
        """List what its log says of errors that nobody foresaw."""
        lines = self.said().splitlines()
        return [
            " | ".join(lines[max(0, index - 1) : index + 1] + lines[index + 1 :][-1:])
            for index, line in enumerate(lines)
            if line.startswith("Traceback") or "unexpected error" in line
        ]


@contextmanager
def serving(checkpoints: Sequence[Path], **settings: object) -> Iterator[Server]:
    """Start a server on the server core.

    Args:
        checkpoints: Files or folders; none for the pretrained models.
        settings: By name in lower case, without `SIGMOID_`.
    """
    environment = {f"SIGMOID_{k.upper()}": str(v) for k, v in settings.items()}
    program = replace(ours(checkpoints), environment=environment)
    with (
        running(program) as server,
        # It stays readable when the process has ended.
        Path(f"/proc/{server.pid}/fd/2").open(errors="replace") as log,
    ):
        yield Server(server.port, server.pid, log)


class AdminKey:
    """A key that may reload.

    Args:
        folder: Where its file goes.

    Attributes:
        path: Of the file of keys.
    """

    def __init__(self, folder: Path) -> None:
        self._key = secrets.token_hex(16)
        self.path = folder / "keys"
        digest = hashlib.sha256(self._key.encode()).hexdigest()
        self.path.write_text(f"faults {digest} admin\n", encoding="ascii")

    @property
    def header(self) -> tuple[str, str]:
        """The header that shows it."""
        return ("Authorization", f"Bearer {self._key}")

    async def reload(self, port: int, name: str) -> Answer:
        """Have a model read again."""
        path = f"/models/{name}/reload"
        return await ask_once(port, Request("POST", path, b"", (self.header,)))


async def referenced(port: int, request: Request) -> Task:
    """Ask once, while nothing else is asked; that answer's bytes are the right ones.

    Raises:
        FaultError: It is no 200.
    """
    answer = await ask_once(port, request)
    if answer.status != 200:
        raise FaultError(f"a quiet server answered {answer.status}: {answer.body!r}")
    return Task(request, lambda body: body == answer.body)


async def exit_code(pid: int) -> int:
    """Wait for a child to end; its status stays there for who started it.

    Returns:
        Its code, or minus the number of the signal that ended it.
    """
    wait = asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        result = await asyncio.wait_for(wait, _END_SECONDS)
    except TimeoutError:
        raise FaultError(f"the server did not end in {_END_SECONDS:g} s") from None
    assert result is not None
    is_exit = result.si_code == os.CLD_EXITED
    return result.si_status if is_exit else -result.si_status


def held_connections(pid: int, port: int) -> int:
    """Count the established connections to a port that a process holds.

    Source: proc(5), `/proc/net/tcp`.
    """
    rows = [
        line.split()
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    ]
    ours = {
        f"socket:[{row[9]}]"
        for row in rows
        if int(row[1].rpartition(":")[2], 16) == port and row[3] == _ESTABLISHED
    }
    held = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            held += os.readlink(link) in ours
    return held


async def sampled_memory(
    pid: int, period: float, stop: asyncio.Event
) -> list[tuple[float, int]]:
    """Note what a process has resident, in bytes, by seconds, until told to stop."""
    samples: list[tuple[float, int]] = []
    start = perf_counter()
    while not stop.is_set():
        samples.append((perf_counter() - start, resident_bytes(pid)))
        try:
            await asyncio.wait_for(stop.wait(), period)
        except TimeoutError:
            continue
    return samples
