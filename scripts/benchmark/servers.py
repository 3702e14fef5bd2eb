"""Starts, watches and stops the servers, each alone on its core, or on all cores."""

import os
import re
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, sleep
from typing import BinaryIO

from benchmark import BenchmarkError
from benchmark.client import Connection, Request
from benchmark.payloads import Task

SERVER_CORE = 0
CLIENT_CORE = 1
ALL_CORES = (SERVER_CORE, CLIENT_CORE)
_START_SECONDS = 120.0
_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.01
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Program:
    """How a server is started and asked.

    Attributes:
        name: As the tables show it.
        command: The command line that serves on a port.
        ready: Answered with 200 as soon as the server is ready.
        predict: Makes the request that asks for the logits of some rows.
        environment: Variables beside those of this process.
        is_pinned: Whether it has a core for itself, and the load another; else both
            use whichever they like.
    """

    name: str
    command: Callable[[int], list[str]]
    ready: Request
    predict: Callable[[int], Task]
    environment: Mapping[str, str] = field(default_factory=dict)
    is_pinned: bool = True

    @property
    def cores(self) -> tuple[int, ...]:
        """What it may use."""
        return (SERVER_CORE,) if self.is_pinned else ALL_CORES

    @property
    def load_cores(self) -> tuple[int, ...]:
        """What its load may use."""
        return (CLIENT_CORE,) if self.is_pinned else ALL_CORES


@dataclass(frozen=True)
class Server:
    """A server that is ready.

    Attributes:
        name: Of its program.
        port: Of 127.0.0.1.
        pid: Its process.
        start_seconds: From the start of the process to the first 200.
    """

    name: str
    port: int
    pid: int
    start_seconds: float


@contextmanager
def running(program: Program) -> Iterator[Server]:
    """Start a program on its cores; stop it whatever happens.

    Raises:
        BenchmarkError: It ended, or did not become ready in time.
    """
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        start = perf_counter()
        process = subprocess.Popen(
            ["taskset", "-c", core_list(program.cores), *program.command(port)],
            cwd=folder,  # `python -m` would import from the present folder
            env={**_environment(), **program.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for this process, which then stops it
        )
        try:
            seconds = _wait_until_ready(program, process, port, start, log)
            yield Server(program.name, port, process.pid, seconds)
        finally:
            _stop(process)


@contextmanager
def on_all_cores() -> Iterator[None]:
    """Let the client use all cores, as one does that nobody has pinned."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, ALL_CORES)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def core_list(cores: Iterable[int]) -> str:
    """Write cores as taskset reads them."""
    return ",".join(map(str, cores))


def resident_bytes(pid: int, field_name: str = "VmRSS") -> int:
    """Read a figure of a process's memory from `/proc`.

    Args:
        pid: The process.
        field_name: `VmRSS`, resident now, or `VmHWM`, its highest.
    """
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(rf"^{field_name}:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise BenchmarkError(f"/proc/{pid}/status has no {field_name}")
    return 1024 * int(found[1])


def cpu_seconds(pid: int) -> float:
    """Add up the CPU time of a server and of the processes that it has started.

    It is steadier than the time by the clock where others use the machine too.

    Args:
        pid: Of a `Server`, which leads a session of its own.
    """
    ticks = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            # See proc(5); a name in parentheses comes before, which may hold anything.
            _, _, text = file.read_text(errors="replace").rpartition(")")
            fields = text.split()
            if int(fields[3]) == pid:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def forget_peak(pid: int) -> None:
    """Set `VmHWM` to what is resident now, where the system allows it.

    Where it does not, the peak of the start counts too. See proc(5), clear_refs.
    """
    with suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")


def _environment() -> dict[str, str]:
    """Leave out settings of the service that this shell happens to have."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SIGMOID_")
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(
    program: Program,
    process: subprocess.Popen[bytes],
    port: int,
    start: float,
    log: BinaryIO,
) -> float:
    message = program.ready.message()
    fault = "did not become ready"
    while perf_counter() - start < _START_SECONDS:
        if process.poll() is not None:
            fault = f"ended with code {process.returncode}"
            break
        try:
            connection = Connection(port)
        except OSError:
            sleep(_POLL_SECONDS)
            continue
        try:
            connection.ask(message)
            return perf_counter() - start
        except (OSError, BenchmarkError):
            sleep(_POLL_SECONDS)
        finally:
            connection.close()
    log.seek(0)
    said = log.read().decode(errors="replace").strip()[-1000:]
    raise BenchmarkError(f"{program.name} {fault}; it said:\n{said}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    # What is left of its session: itself, or workers that it has not ended.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
