"""The service as a process of its own."""

import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import httpx
from prometheus_client.parser import text_string_to_metric_families

from sigmoid_serve.configuration.settings import Settings, read_settings

TIMEOUT = 60
COMMAND = [sys.executable, "-m", "sigmoid_serve"]
BARE = {"SIGMOID_ACTIVATION": "sigmoid"}
"""What a service needs to serve files that do not say their activation."""
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For `verify` of a client without TLS: each would read all certificates, in 20 ms."""


def environment(**variables: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not _is_read(k)}
    return {**kept, "COLUMNS": "120", "NO_COLOR": "1", **variables}


def _is_read(name: str) -> bool:
    return name.upper().startswith("SIGMOID_") or name == "PORT"


def settings_of(**variables: str) -> Settings:
    """Read the settings as a process with these variables does, in this process."""
    with patch.dict(os.environ, environment(**variables), clear=True):
        return read_settings()


@contextmanager
def serving(
    log: Path,
    *checkpoints: Path,
    options: Sequence[str] = ("--port", "0"),
    command: Sequence[str] = (*COMMAND, "serve"),
    **variables: str,
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the service; yields the process, and where it says that it listens."""
    with (
        log.open("w") as file,
        subprocess.Popen(
            [*command, *options, *map(str, checkpoints)],
            stdout=subprocess.DEVNULL,
            stderr=file,
            text=True,
            env=environment(**variables),
        ) as process,
    ):
        try:
            end = time.monotonic() + TIMEOUT
            while not (
                match := re.search(r"listening on ([^\s\"]+)[\s\"]", log.read_text())
            ):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.05)
            yield process, match[1]
        finally:
            if process.poll() is None:
                process.kill()


def until_ready(client: httpx.Client) -> None:
    end = time.monotonic() + TIMEOUT
    while (response := client.get("/readyz")).status_code != 200:
        assert time.monotonic() < end, response.text
        time.sleep(0.05)


def counted(client: httpx.Client, name: str, **labels: str) -> float:
    """Sum the samples of a metric that have these labels."""
    text = client.get("/metrics").text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
