"""Commands on a terminal, as people run them; Ctrl-C reaches all their processes."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from tests.running import COMMAND, TIMEOUT, environment


class Terminal:
    """A command whose output goes to a terminal.

    Attributes:
        process: The command.
    """

    def __init__(self, *arguments: str | Path, **variables: str) -> None:
        self._master, slave = os.openpty()
        self._shown = b""
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
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
    terminal = Terminal(*arguments, **variables)
    try:
        yield terminal
    finally:
        if terminal.process.poll() is None:
            os.killpg(terminal.process.pid, signal.SIGKILL)
            terminal.process.wait(TIMEOUT)
