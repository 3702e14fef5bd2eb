"""The server under test, as users start it, but fenced in: it may take all memory."""

import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from os import environ, killpg
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Final

import httpx

from fuzzing import FuzzError
from fuzzing.api import free_port
from fuzzing.cost import processes

MAX_ADDRESSES: Final = 16 * 2**30
MAX_RESIDENT: Final = 4 * 2**30

_START_SECONDS = 120.0
_WATCH_SECONDS = 0.02
_LOOK_SECONDS = 0.005
_IDLE_SHARE = 0.3
_EMPTY: Final = Path(__file__).parents[2] / "benchmark" / "peers" / "empty.py"


class Server:
    """A server that is ready, and a thread that ends it where it takes too much.

    Args:
        process: Leads a session of its own.
        port: Of 127.0.0.1.

    Attributes:
        port: Of 127.0.0.1.
        at_start: Bytes resident before the first request.
        was_too_large: Whether it was ended for its memory.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.port = port
        self.was_too_large = False
        self._process = process
        self.at_start = processes.resident(self.pids())
        self._stop = Event()
        self._watcher = Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def pids(self) -> list[int]:
        """List its processes."""
        return processes.family(self._process.pid)

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def is_idle(self) -> bool:
        """Watch it for a moment; return whether it did little."""
        before = processes.cpu_seconds(self.pids())
        sleep(_LOOK_SECONDS)
        used = processes.cpu_seconds(self.pids()) - before
        return used < _IDLE_SHARE * _LOOK_SECONDS

    def stop(self) -> None:
        """End it at once."""
        self._stop.set()
        self._watcher.join()
        with suppress(ProcessLookupError):
            killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _watch(self) -> None:
        while not self._stop.wait(_WATCH_SECONDS):
            if processes.resident(self.pids()) > MAX_RESIDENT:
                self.was_too_large = True
                with suppress(ProcessLookupError):
                    killpg(self._process.pid, signal.SIGKILL)
                return


def start(folder: Path) -> Server:
    """Start the service with the pretrained models, one worker and no settings.

    Args:
        folder: Where its log goes, and where it runs.

    Raises:
        FuzzError: It does not become ready.
    """
    program = Path(sys.executable).with_name("sigmoid-serve")
    log = folder / "server.log"
    process = _started([str(program), "serve", "--port", "0"], folder, log)
    resource.prlimit(process.pid, resource.RLIMIT_AS, (MAX_ADDRESSES, MAX_ADDRESSES))
    pattern = r"listening on http://[^\s\"]*:(\d+)"

    def port() -> int | None:
        found = re.search(pattern, log.read_text(errors="replace"))
        return int(found[1]) if found else None

    return Server(process, _ready(process, port, "/readyz", log))


def start_empty(folder: Path) -> Server:
    """Start the handler that does nothing.

    Args:
        folder: Where its log goes, and where it runs.

    Raises:
        FuzzError: It does not become ready.
    """
    port = free_port()
    command = [sys.executable, "-P", str(_EMPTY), "none", str(port)]
    log = folder / "empty.log"
    process = _started(command, folder, log)
    return Server(process, _ready(process, lambda: port, "/livez", log))


def _started(command: list[str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith("SIGMOID_") and name != "PORT"
    }
    with log.open("wb") as file:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,  # Ctrl-C is for this process, which then stops it
        )


def _ready(
    process: subprocess.Popen[bytes],
    port: Callable[[], int | None],
    path: str,
    log: Path,
) -> int:
    end = monotonic() + _START_SECONDS
    while monotonic() < end and process.poll() is None:
        found = port()
        with suppress(httpx.TransportError):
            url = f"http://127.0.0.1:{found}{path}"
            if found is not None and httpx.get(url).status_code == 200:
                return found
        sleep(0.02)
    process.kill()
    process.wait()
    said = log.read_text(errors="replace").strip()[-2000:]
    raise FuzzError(f"the server did not become ready; it said:\n{said}")
