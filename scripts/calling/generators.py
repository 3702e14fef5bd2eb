"""Generators of clients, in environments of their own, and calls with their work."""

import filecmp
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
HERE: Final = Path(__file__).parent

_PINNED: Final = ROOT / "scripts" / "requirements" / "clients.txt"
_PACKAGES: Final = "package-lock.json"
_SECONDS: Final = 600


class ClientError(Exception):
    """A client that could not be made, or did not get what it should."""


class PythonClient:
    """A client that openapi-python-client makes; its environment also has a validator.

    Args:
        cache: Folder for the environment, which is made once.
    """

    name = "openapi-python-client"

    def __init__(self, cache: Path) -> None:
        self._home = cache / "python"
        marker = self._home / _PINNED.name
        if not _is_same(marker, _PINNED):
            shutil.rmtree(self._home, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(self._home)])
            options = ("--quiet", "--require-hashes", "--only-binary", ":all:")
            _run([self._program("pip"), "install", *options, "-r", str(_PINNED)])
            shutil.copy(_PINNED, marker)

    def _program(self, name: str) -> str:
        return str(self._home / "bin" / name)

    def validate(self, document: Path) -> None:
        """Hold the document against the specification of OpenAPI."""
        _run([self._program("openapi-spec-validator"), str(document)])

    def call(self, document: Path, url: str, key: str, folder: Path) -> None:
        """Make a client in a folder, and call a server with it."""
        package = folder / "generated"
        options = ("--meta", "none", "--overwrite", "--path", str(document))
        command = ["generate", *options, "--output-path", str(package)]
        _run([self._program("openapi-python-client"), *command])
        script = str(HERE / "python_client.py")
        environment = {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
        _run([self._program("python"), script, url, key], environment)


class TypeScriptClient:
    """A client of openapi-fetch, with the types that openapi-typescript makes.

    Args:
        cache: Folder for the packages, which are installed once.
    """

    name = "openapi-typescript"

    def __init__(self, cache: Path) -> None:
        self._home = cache / "typescript"
        sources = HERE / "typescript"
        if not _is_same(self._home / "installed.json", sources / _PACKAGES):
            shutil.rmtree(self._home, ignore_errors=True)
            shutil.copytree(sources, self._home)
            options = ("--ignore-scripts", "--no-audit", "--no-fund", "--silent")
            _run(["npm", "ci", *options], folder=self._home)
            shutil.copy(sources / _PACKAGES, self._home / "installed.json")
        for name in ("call.ts", "tsconfig.json"):
            shutil.copy(sources / name, self._home)

    def call(self, document: Path, url: str, key: str, folder: Path) -> None:
        """Make types, compile what calls a server with them, and run it."""
        programs = self._home / "node_modules" / ".bin"
        types = str(self._home / "schema.d.ts")
        _run([str(programs / "openapi-typescript"), str(document), "--output", types])
        _run([str(programs / "tsc"), "--project", "."], folder=self._home)
        _run(["node", "out/call.js", url, key], folder=self._home)


def _is_same(first: Path, second: Path) -> bool:
    return first.exists() and filecmp.cmp(first, second, shallow=False)


def _run(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> None:
    """Run a command to its end.

    Raises:
        ClientError: It is not there, takes too long, or says that it failed.
    """
    try:
        outcome = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": "", **(environment or {})},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise ClientError(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise ClientError(f"{command[0]} did not end in {_SECONDS} s") from None
    if outcome.returncode:
        said = (outcome.stdout + outcome.stderr).strip()[-2000:]
        raise ClientError(f"{Path(command[0]).name} failed:\n{said}")
