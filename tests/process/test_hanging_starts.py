"""Starts that hang, of a worker or of all, and the end of one without a supervisor."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.hanging import hook, put_hanging, python_path
from tests.process.standing import Standing, log_of
from tests.process.test_hanging import WORKERS, ask, lives, served
from tests.process.test_workers import children, until
from tests.registry.test_reloading import Served, put
from tests.running import COMMAND, TIMEOUT, environment
from tests.server.test_connection import post

# The process that was started first of several is worker 0.
_FIRST_HANGS = """
import os, sys, time
if "--multiprocessing-fork" in sys.orig_argv and not os.path.exists({mark!r}):
    time.sleep(0.5)
    family = "/proc/{{0}}/task/{{0}}/children".format(os.getppid())
    workers = [
        int(pid)
        for pid in open(family).read().split()
        if "spawn_main" in open("/proc/" + pid + "/cmdline").read()
    ]
    if os.getpid() == min(workers):
        open({mark!r}, "w").close()
        time.sleep(3000)
"""


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """A service of two workers, the first of which hung before it connected."""

    def serve(folder: Path) -> AbstractContextManager[Served]:
        code = _FIRST_HANGS.format(mark=str(folder / "mark"))
        (folder / "sitecustomize.py").write_text(code)
        return served(
            folder,
            2,
            PYTHONPATH=python_path(folder),
            SIGMOID_LOAD_SECONDS="5",
            SIGMOID_SHUTDOWN_SECONDS="1",
        )

    standing = Standing(tmp_path_factory.mktemp("late"), serve)
    yield standing
    standing.close()


def test_a_first_worker_that_hangs_before_it_connects(late: Standing) -> None:
    start = monotonic()
    with late.use() as found:
        assert monotonic() - start < 45
        assert "worker 0 was not ready after 21 s, killing it" in log_of(found)
        # The worker that waited for it has not hung.
        assert log_of(found).count("killing it") == 1
        assert ask(found)


def test_workers_shut_down_in_time_without_their_supervisor(late: Standing) -> None:
    """Whatever their clients do."""
    with late.use() as found:
        workers = children(found.process.pid)
        url = found.client.base_url
        wires = [
            socket.create_connection((url.host, url.port or 80), TIMEOUT)
            for _ in range(4)
        ]
        for wire in wires:
            wire.sendall(post("/sigmoid", b'{"inputs": 0}')[:-5])
        sleep(0.3)
        found.process.kill()
        found.process.wait(TIMEOUT)
        start = monotonic()
        until(lambda: not any(map(lives, workers)))
        assert monotonic() - start < 5
        for wire in wires:
            wire.close()


@WORKERS
def test_a_start_that_hangs(tmp_path: Path, workers: int) -> None:
    _, variables = hook(tmp_path)
    path = put(tmp_path / "m.safetensors", 1)
    put_hanging(path, "anywhere")
    given = environment(
        SIGMOID_WORKERS=str(workers), SIGMOID_LOAD_SECONDS="2", **variables
    )
    command = [*COMMAND, "serve", "--port", "0", str(path)]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, stderr=log, env=given) as process,
    ):
        try:
            # It has imported all that it needs.
            until((tmp_path / "hangs").exists)
            start = monotonic()
            assert process.wait(TIMEOUT) == 1
            assert monotonic() - start < 12
        finally:
            process.kill()
    last = (tmp_path / "log").read_text().splitlines()[-1]
    assert last.startswith("sigmoid-serve: the models were not read and loaded within")
