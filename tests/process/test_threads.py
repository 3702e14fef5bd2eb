"""A default start: no thread beside ours takes a core, whatever is computed."""

import json
import os
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.process.test_workers import until
from tests.running import TIMEOUT, serving, until_ready

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="threads are looked up in /proc"
)

WRITES_THE_LOG = 1


def ticks(pid: int) -> dict[int, int]:
    """Read how long each thread of a process has run; see proc(5)."""
    taken = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            line = (task / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        fields = line.rpartition(")")[2].split()
        taken[int(task.name)] = int(fields[11]) + int(fields[12])
    return taken


def body(rows: int) -> bytes:
    values = np.random.default_rng(0).normal(size=(rows, 30)).round(4)
    return json.dumps({"inputs": values.tolist()}).encode()


def test_one_thread_computes_what_one_thread_does_sooner(tmp_path: Path) -> None:
    """No pool of NumPy's or PyTorch's is there, so none spins."""
    with (
        serving(tmp_path / "log", SIGMOID_THREADS="2") as (process, address),
        httpx.Client(base_url=address, timeout=TIMEOUT) as client,
    ):
        until_ready(client)
        until(lambda: len(ticks(process.pid)) == 1 + WRITES_THE_LOG)
        before = ticks(process.pid)
        for rows in (1, 200, 700):
            content = body(rows)
            for _ in range(20):
                assert client.post("/predict", content=content).status_code == 200
        assert set(ticks(process.pid)) == set(before)
        # Longer bodies are read on one thread, and their rows computed on two.
        assert client.post("/predict", content=body(50_000)).status_code == 200
        after = ticks(process.pid)
        assert len(after) <= 4 + WRITES_THE_LOG


@pytest.mark.skipif(os.cpu_count() == 1, reason="there is one core")
def test_the_environment_of_the_user_wins(tmp_path: Path) -> None:
    """Whoever sets the threads of NumPy's pool has them."""
    with (
        serving(tmp_path / "log", OPENBLAS_NUM_THREADS="2") as (process, address),
        httpx.Client(base_url=address, timeout=TIMEOUT) as client,
    ):
        until_ready(client)
        until(lambda: len(ticks(process.pid)) == 2 + WRITES_THE_LOG)
