"""A reader who tries what a page shows, from its first block to its last."""

import io
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from sigmoid_serve.configuration.settings import read_settings
from tests.cli import here
from tests.conftest import serve
from tests.documentation.agreement import agrees
from tests.documentation.pages import ROOT, Block
from tests.documentation.shell import (
    OURS,
    Command,
    examples,
    parsed,
    simple,
    statements,
)
from tests.running import COMMAND, TIMEOUT, environment, serving, until_ready

SHIPPED = 8080
"""The port at which the pages have a server of the shipped models."""

_HOST = r"(?:localhost|127\.0\.0\.1)"
_OWN_PROCESS = {"doctor"}
"""Commands that end their process."""


class Reader:
    """Runs blocks in a folder; what one makes, the next has.

    Our own commands run in this process, where PyTorch is imported already, all else in
    bash. A server that is started answers at its address until the page ends.
    """

    def __init__(self, folder: Path, shipped: httpx.Client, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._addresses = {SHIPPED: _address(shipped)}
        self._namespace: dict[str, Any] = {"__name__": "__main__"}
        _install(folder)

    def read(self, block: Block) -> None:
        """Run a block, and compare what it prints with what is shown."""
        match block.language:
            case "json":
                json.loads(block.text)
            case "python":
                self._check(block, self._python(block.text), block.printed)
            case "sh":
                printed = [self._shell(each) for each in statements(block.text)]
                self._check(block, "".join(printed), block.printed)
            case "console":
                for command, shown in examples(block.text):
                    self._check(block, self._shell(command, fails=True), shown)
            case other:
                raise AssertionError(f"{block}: nothing runs the language {other!r}")

    def _check(self, block: Block, printed: str, shown: str | None) -> None:
        if shown is not None:
            assert agrees(printed, self._placed(shown)), f"{block} prints\n{printed}"

    def _placed(self, text: str) -> str:
        """Name the addresses of the servers that run."""
        for port, address in self._addresses.items():
            text = re.sub(rf"{_HOST}:{port}\b", address, text)
        return text

    def _python(self, text: str) -> str:
        with redirect_stdout(io.StringIO()) as printed:
            exec(self._placed(text), self._namespace)
        return printed.getvalue()

    def _shell(self, statement: str, *, fails: bool = False) -> str:
        """Run a command line; return all that it prints."""
        first, pipe, rest = statement.partition(" | ")
        command = simple(first)
        if command and command.words[0] == "scripts/serve":
            return self._start_as_process(command)
        if command and command.program == OURS:
            if command.words[1] == "serve":
                return self._start(command)
            if command.words[1] not in _OWN_PROCESS:
                done = here.call(*command.words[1:], folder=None, **command.variables)
                assert fails or done.returncode == 0, done.stderr
                if pipe:
                    return self._bash(self._placed(rest), done.stdout, fails=fails)
                return done.stdout + done.stderr
        assert "scripts/" not in statement, f"name what covers {statement!r}"
        return self._bash(self._placed(statement), fails=fails)

    def _bash(self, text: str, piped: str = "", *, fails: bool) -> str:
        path = f"{self._folder}/.venv/bin:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail\n{text}"],
            input=piped.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT,
            env=environment(PATH=path),
            check=False,
        )
        printed = done.stdout.decode(errors="replace")
        assert fails or done.returncode == 0, f"{text}\n{printed}"
        return printed

    def _start(self, command: Command) -> str:
        """Serve what a command says, in a thread of this process."""
        options = parsed(command.words[1:])
        checkpoints = options.pop("checkpoints") or ()
        with patch.dict(os.environ, environment(**command.variables), clear=True):
            settings = read_settings(**options)
            client = self._stack.enter_context(serve(settings, checkpoints))
        if settings.tls_cert_file:
            context = ssl.create_default_context(cafile=settings.tls_cert_file)
            url = f"https://localhost:{client.base_url.port}"
            client = self._stack.enter_context(
                httpx.Client(base_url=url, verify=context)
            )
        until_ready(client)
        self._addresses[settings.port] = _address(client)
        return ""

    def _start_as_process(self, command: Command) -> str:
        """Run the script that serves until it is ready, then stop it by Ctrl-C."""
        log = self._folder / "serve.log"
        start = [str(ROOT / "scripts/serve"), *command.words[1:]]
        with serving(log, command=start) as (process, address):
            with httpx.Client(base_url=address) as client:
                until_ready(client)
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT) == 0, log.read_text()
        return ""


def _address(client: httpx.Client) -> str:
    return f"{client.base_url.host}:{client.base_url.port}"


def _install(folder: Path) -> None:
    """Put the programs of this checkout where a reader has them."""
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    _write_program(programs / OURS, COMMAND)
    _write_program(programs / "python", [sys.executable])


def _write_program(path: Path, words: Sequence[str]) -> None:
    path.write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
