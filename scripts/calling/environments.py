"""Environments of their own for clients, and commands that are run in them."""

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

_PINS: Final = ROOT / "scripts" / "requirements"
_SECONDS: Final = 600


class ClientError(Exception):
    """A client that could not be made, or did not get what it should."""


def python_environment(home: Path, pins: str) -> Path:
    """Make an environment of Python, unless it is there.

    Args:
        home: Its folder.
        pins: Name of the file of `scripts/requirements` that says what is in it.

    Returns:
        The folder of its programs.

    Raises:
        ClientError: Something cannot be installed.
    """
    pinned, marker = _PINS / pins, home / pins
    programs = home / "bin"
    if not is_same(marker, pinned):
        shutil.rmtree(home, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(home)])
        options = ("--quiet", "--require-hashes", "--only-binary", ":all:")
        run([str(programs / "pip"), "install", *options, "-r", str(pinned)])
        shutil.copy(pinned, marker)
    return programs


def is_same(first: Path, second: Path) -> bool:
    """Tell whether a file is there, and as another."""
    return first.exists() and filecmp.cmp(first, second, shallow=False)


def run(
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
