"""Commands on a terminal, as people run them; Ctrl-C reaches all their processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from tests.running import COMMAND, TIMEOUT, environment

STARTED = "Python has started"
# Until then Ctrl-C is Python's own, which ends with a traceback.
TELLS_ITS_START = [
    sys.executable,
    "-c",
    f"from sigmoid_serve.__main__ import main; print({STARTED!r}, flush=True); main()",
]


class Terminal:
    """A command whose output goes to a terminal.

    Attributes:
        process: The command.
    """

    def __init__(
        self, program: list[str], *arguments: str | Path, **variables: str
    ) -> None:
        self._master, slave = os.openpty()
        self._shown = b""
        self.process = subprocess.Popen(
            [*program, *map(str, arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(**variables),
            start_new_session=True,
        )
        os.close(slave)
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while data := os.read(self._master, 4096):
                self._shown += data
        except OSError:  # all of its processes have ended
            pass

    @property
    def lines(self) -> list[str]:
        """What it shows."""
        return self._shown.decode().splitlines()

    def until(self, text: str) -> None:
        """Wait until it shows a text."""
        end = time.monotonic() + TIMEOUT
        while text.encode() not in self._shown:
            assert self.process.poll() is None, self.lines
            assert time.monotonic() < end, self.lines
            time.sleep(0.02)

    def interrupt(self) -> None:
        """Do what Ctrl-C does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> int:
        """Wait until it has ended; return its exit code."""
        code = self.process.wait(TIMEOUT)
        time.sleep(0.1)  # its last lines
        return code


@contextmanager
def on_terminal(*arguments: str | Path, **variables: str) -> Iterator[Terminal]:
    """Run a command on a terminal."""
    with _running(Terminal(COMMAND, *arguments, **variables)) as terminal:
        yield terminal


@contextmanager
def started_on_terminal(*arguments: str | Path, **variables: str) -> Iterator[Terminal]:
    """Run a command on a terminal, in a Python whose start is its first line."""
    with _running(Terminal(TELLS_ITS_START, *arguments, **variables)) as terminal:
        terminal.until(STARTED)
        yield terminal


@contextmanager
def _running(terminal: Terminal) -> Iterator[Terminal]:
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            os.killpg(terminal.process.pid, signal.SIGKILL)
            terminal.process.wait(TIMEOUT)
