"""Commands in the process of the tests, where PyTorch is imported already.

What a process has of its own, such as its locale and what it imports, is for
`tests.cli.test_cli`, as is each command once. So are `doctor`, which ends the process,
and `serve`, which changes it, but for mistakes in their options.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO
from unittest.mock import patch

import pytest
import torch

from sigmoid_serve.cli.commands import main
from sigmoid_serve.monitoring.line_writer import line_writer
from tests.running import environment

_HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def call(
    *arguments: str | Path, folder: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as `sigmoid-serve` does, from what was typed to its exit code."""
    typed = ["sigmoid-serve", *map(str, arguments)]
    line_writer().flush()  # lines of others are not of this command
    with TemporaryFile() as out, TemporaryFile() as err:
        with ExitStack() as stack:
            stack.enter_context(_kept(folder))
            environ = environment(**variables)
            stack.enter_context(patch.dict(os.environ, environ, clear=True))
            stack.enter_context(patch.object(sys, "argv", typed))
            stack.enter_context(_printed("stdout", out))
            stack.enter_context(_printed("stderr", err))
            code = _exit_code()
            line_writer().flush()
        return subprocess.CompletedProcess(typed, code, _read(out), _read(err))


def done(*arguments: str | Path, folder: Path | None = None, **variables: str) -> str:
    """Run a command that succeeds; return what it prints."""
    return output(call(*arguments, folder=folder, **variables))


def refused(*arguments: str | Path, **variables: str) -> str:
    """Run a command that fails; return the one line that says why."""
    return refusal(call(*arguments, folder=None, **variables))


def output(outcome: subprocess.CompletedProcess[str]) -> str:
    """Return what a command printed that must have succeeded."""
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def refusal(outcome: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that says why a command failed."""
    assert outcome.returncode == 1, outcome.stderr
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("sigmoid-serve: ")
    assert outcome.stderr.endswith("\n")
    assert len(outcome.stderr.splitlines()) == 1, outcome.stderr
    return outcome.stderr


def _exit_code() -> int:
    with pytest.raises(SystemExit) as end:
        main()
    assert isinstance(end.value.code, int)
    return end.value.code


@contextmanager
def _kept(folder: Path | None) -> Iterator[None]:
    """Put back what a command changes of its process."""
    where, threads = Path.cwd(), torch.get_num_threads()
    handlers = {number: signal.getsignal(number) for number in _HANDLED}
    try:
        os.chdir(folder or where)
        yield
    finally:
        os.chdir(where)
        torch.set_num_threads(threads)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def _printed(name: str, file: IO[bytes]) -> Iterator[None]:
    """Have what is printed go to a file, by its descriptor as well."""
    stream = getattr(sys, name)
    number = {"stdout": 1, "stderr": 2}[name]
    stream.flush()
    before = os.dup(number)
    os.dup2(file.fileno(), number)
    try:
        with (
            open(number, "w", encoding="utf-8", closefd=False) as text,
            patch.object(sys, name, text),
        ):
            yield
    finally:
        os.dup2(before, number)
        os.close(before)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()
