"""The script that asks a running server one question of each kind."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "smoke"


def smoke(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_good_server(client: httpx.Client) -> None:
    outcome = smoke(str(client.base_url))
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stderr == ""
    assert all(line.startswith("ok ") for line in outcome.stdout.splitlines())


@pytest.mark.parametrize(
    # Nothing listens on port 1; the others are no URLs of a server.
    "url",
    ["http://127.0.0.1:1", "127.0.0.1:1", "ftp://127.0.0.1", "http://a:b", ""],
)
def test_no_server(url: str) -> None:
    outcome = smoke(url)
    assert outcome.returncode == 1
    assert outcome.stdout == ""
    assert outcome.stderr.startswith(f"FAILED  {url!r} does not answer: ")
    assert len(outcome.stderr.splitlines()) == 1


def test_no_url() -> None:
    outcome = smoke()
    assert outcome.returncode == 1
    assert outcome.stderr == "usage: scripts/smoke URL\n"
