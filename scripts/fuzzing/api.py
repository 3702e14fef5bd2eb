"""Schemathesis against a real server: does it do what its own document says?

https://schemathesis.readthedocs.io
"""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Final

import httpx

from fuzzing import FuzzError

EXCLUDED: Final = (
    # JSON Schema can say neither that nested lists are dense, nor which names and how
    # many features a model has, nor where a dtype's range ends: what is right by the
    # schema may be refused for these reasons. That the rest of it is accepted, and only
    # that, is what the oracle of `scripts/fuzz bodies` finds out.
    "positive_data_acceptance",
)

# What is unloaded is 503 to all other operations, and that is what it should be. So the
# operations that change what is served have a server of their own.
_PASSES: Final = (
    ("--exclude-path-regex", "^/v2/repository/models/"),
    ("--include-path-regex", "^/v2/repository/"),
)

_START_SECONDS = 120.0
_STOP_SECONDS = 15.0
# Beyond its own limit Schemathesis still shrinks what it found.
_SPARE_SECONDS = 120.0


def fuzz_api(seconds: int, seed: int) -> bool:
    """Start a server, and Schemathesis, which prints what it finds.

    Args:
        seconds: That it may take.
        seed: Of what is drawn.

    Returns:
        Whether it found nothing.

    Raises:
        FuzzError: The server or Schemathesis does not run.
    """
    found = []
    for choice in _PASSES:
        with (
            tempfile.TemporaryDirectory() as folder,
            running_server(Path(folder)) as url,
        ):
            location, share = f"{url}/openapi.json", seconds // len(_PASSES)
            found.append(found_nothing(location, share, seed, Path(folder), choice))
    return all(found)


def found_nothing(
    location: str, seconds: int, seed: int, folder: Path, choice: Sequence[str] = ()
) -> bool:
    """Run Schemathesis with all its checks but `EXCLUDED`.

    Args:
        location: URL of the document.
        seconds: That it may take.
        seed: Of what is drawn.
        folder: Where it may leave files.
        choice: Its options that choose operations; all by default.

    Raises:
        FuzzError: It is not installed, or did not come to an end.
    """
    program = Path(sys.executable).with_name("schemathesis")
    command = [
        *(str(program), "run", location, "--checks", "all"),
        *("--exclude-checks", ",".join(EXCLUDED)),
        *("--max-time", str(seconds), "--seed", str(seed), "--continue-on-failure"),
        *("--generation-database", "none", "--request-timeout", "10"),
        *choice,
    ]
    try:
        outcome = subprocess.run(
            command, cwd=folder, timeout=seconds + _SPARE_SECONDS, check=False
        )
    except FileNotFoundError:
        raise FuzzError(
            "schemathesis is not installed; scripts/install does it"
        ) from None
    except subprocess.TimeoutExpired:
        raise FuzzError(
            f"schemathesis did not end {_SPARE_SECONDS:.0f} s late"
        ) from None
    return outcome.returncode == 0


@contextmanager
def running_server(folder: Path, **variables: str) -> Iterator[str]:
    """Start a server of the pretrained models; stop it whatever happens.

    Args:
        folder: Where its log goes.
        variables: Its settings; all others have their defaults.

    Yields:
        Its URL.

    Raises:
        FuzzError: It ended, or did not become ready.
    """
    port = free_port()
    command = [sys.executable, "-m", "sigmoid_serve", "serve", "--port", str(port)]
    others = {n: v for n, v in os.environ.items() if not n.startswith("SIGMOID_")}
    with (folder / "server.log").open("w+b") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,  # `python -m` would import from the present folder
            env={**others, **variables},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for this process, which then stops it
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(url, process, log)
            yield url
            if process.poll() is not None:
                raise FuzzError(f"the server ended; it said:\n{_said(log)}")
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            process.kill()
            process.wait()


def _wait_until_ready(
    url: str, process: subprocess.Popen[bytes], log: IO[bytes]
) -> None:
    end = monotonic() + _START_SECONDS
    while monotonic() < end and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        sleep(0.1)
    raise FuzzError(f"the server did not become ready; it said:\n{_said(log)}")


def _said(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode(errors="replace").strip()[-2000:]


def free_port() -> int:
    """Find a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
