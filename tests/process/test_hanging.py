"""Workers, loads and disks that hang: logged, given up, and no delay for others."""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from tests.hanging import hook, put_hanging, put_large, python_path
from tests.process.test_workers import children, until
from tests.registry.test_reloading import ADMIN, ROWS, Served, put
from tests.running import (
    BARE,
    COMMAND,
    TIMEOUT,
    counted,
    environment,
    serving,
    until_ready,
)
from tests.server.test_connection import post

WORKERS = pytest.mark.parametrize("workers", [1, 2])


@contextmanager
def served(folder: Path, workers: int, **variables: str) -> Iterator[Served]:
    """A service of two models, `m` and `other`."""
    models = folder / "models"
    for name, seed in (("m", 1), ("other", 9)):
        put(models / name / "1" / "model.safetensors", seed)
    keys = folder / "keys"
    keys.write_text(f"root {sha256(b'secret').hexdigest()} admin\n")
    settings = {
        "SIGMOID_WORKERS": str(workers),
        "SIGMOID_API_KEYS_FILE": str(keys),
        "SIGMOID_DRAIN_SECONDS": "0.1",
        **BARE,
        **variables,
    }
    with (
        serving(folder / "log", models, **settings) as (process, address),
        httpx.Client(base_url=address, timeout=TIMEOUT, headers=ADMIN) as client,
    ):
        until_ready(client)
        until(lambda: started(folder) == workers)
        yield Served(client, models, process)


def started(folder: Path) -> int:
    return (folder / "log").read_text().count("Started server process")


def log_of(found: Served) -> str:
    return (found.models.parent / "log").read_text()


def ask(found: Served, timeout: float = TIMEOUT) -> bool:
    """Ask on a new connection; return whether it was answered in time."""
    url, body = found.client.base_url, {"inputs": ROWS}
    with httpx.Client(base_url=url, timeout=timeout, headers=ADMIN) as client:
        try:
            response = client.post("/models/m/predict", json=body)
        except (httpx.TimeoutException, httpx.TransportError):
            return False
        assert response.status_code == 200
        return True


class Reloading(threading.Thread):
    """A reload that another thread asks for."""

    def __init__(self, found: Served, name: str = "m") -> None:
        super().__init__()
        self.found, self.model = found, name
        self.status: int | None = None
        self.text = ""
        self.seconds = 0.0
        self.start()

    def run(self) -> None:
        begin = monotonic()
        url, path = self.found.client.base_url, f"/models/{self.model}/reload"
        with suppress(httpx.TransportError):
            response = httpx.post(url.join(path), headers=ADMIN, timeout=TIMEOUT)
            self.status, self.text = response.status_code, response.text
        self.seconds = monotonic() - begin


def shas(found: Served, workers: int) -> set[str]:
    """Ask all workers for the checkpoint of `m`."""
    answers: dict[str, str] = {}
    url = found.client.base_url.join("/models/m")
    end = monotonic() + TIMEOUT
    while len(answers) < workers:
        assert monotonic() < end
        response = httpx.get(url, headers=ADMIN)
        worker = response.headers["x-request-id"][:20]
        answers[worker] = response.json()["sha256"]
    return set(answers.values())


def test_a_stopped_worker_is_restarted(tmp_path: Path) -> None:
    with served(tmp_path, 2) as found:
        victim = children(found.process.pid)[0]
        os.kill(victim, signal.SIGSTOP)
        start = monotonic()
        answers = []
        while "no heartbeat for 10 s" not in log_of(found):
            assert monotonic() - start < 15
            answers.append(ask(found, timeout=1))
        assert monotonic() - start > 9
        assert answers.count(True) > 3 * answers.count(False)
        until(lambda: started(tmp_path) == 3)
        assert victim not in children(found.process.pid)
        until_ready(found.client)
        assert counted(found.client, "sigmoid_worker_restarts_total") == 1
        assert all(ask(found) for _ in range(20))


def test_a_reload_while_a_worker_is_stopped(tmp_path: Path) -> None:
    """It gets a response, whatever its result, and all workers serve afterwards."""
    with served(tmp_path, 2) as found:
        old = shas(found, 2)
        os.kill(children(found.process.pid)[0], signal.SIGSTOP)
        # Too large for the socket buffer of a stopped worker.
        put_large(found.file(1), 100_000)
        reload = Reloading(found)
        reload.join(25)
        assert reload.status == 503
        assert "a worker exited before it had loaded it" in reload.text
        until(lambda: started(tmp_path) == 3)
        assert shas(found, 2) == old
        assert found.reload().status_code == 200
        new = {sha256(found.file(1).read_bytes()).hexdigest()}
        assert shas(found, 2) == new != old


def test_shutdown_while_a_worker_is_stopped(tmp_path: Path) -> None:
    with served(tmp_path, 2, SIGMOID_SHUTDOWN_SECONDS="3") as found:
        os.kill(children(found.process.pid)[0], signal.SIGSTOP)
        found.process.send_signal(signal.SIGTERM)
        start = monotonic()
        assert found.process.wait(TIMEOUT) == 0
        assert 3 <= monotonic() - start < 7
        assert "did not exit within 4 s, killing it" in log_of(found)


def test_no_worker_is_restarted_if_all_were_stopped(tmp_path: Path) -> None:
    """As when a container is frozen for a while, or a machine sleeps."""
    with served(tmp_path, 2) as found:
        workers = children(found.process.pid)
        everyone = [found.process.pid, *workers]
        for pid in everyone:
            os.kill(pid, signal.SIGSTOP)
        sleep(13)
        for pid in everyone:
            os.kill(pid, signal.SIGCONT)
        sleep(3)
        assert children(found.process.pid) == workers
        assert counted(found.client, "sigmoid_worker_restarts_total") == 0
        assert ask(found)


@pytest.mark.parametrize("message", [b"Commit", b"Abort"], ids=["1", "2"])
def test_a_channel_that_fails(tmp_path: Path, message: bytes) -> None:
    """A worker whose channel fails exits, and a new one takes its place."""
    mark, variables = hook(tmp_path, message)
    with served(tmp_path, 2, **variables) as found:
        if message == b"Commit":
            put(found.file(1), 2)
        else:
            found.file(1).write_bytes(b"damaged")
        mark.touch()
        reload = Reloading(found)
        reload.join()
        mark.unlink()
        # A new worker may get the same message.
        until(lambda: started(tmp_path) >= 4)
        assert (
            log_of(found).count("unexpected error in a message of the supervisor") >= 2
        )
        put(found.file(1), 2)
        until_ready(found.client)
        new = {sha256(found.file(1).read_bytes()).hexdigest()}
        if message == b"Commit":
            assert shas(found, 2) == new
        with httpx.Client(base_url=found.client.base_url, headers=ADMIN) as client:
            url = "/models/m/reload"
            assert client.post(url, timeout=TIMEOUT).status_code == 200
        assert shas(found, 2) == new


def test_a_worker_that_is_told_to_shut_down_alone(tmp_path: Path) -> None:
    """It finishes its requests, and the others go on to listen."""
    with served(tmp_path, 2) as found:
        for victim in children(found.process.pid):
            os.kill(victim, signal.SIGTERM)
            until(lambda victim=victim: not lives(victim))
            assert all(ask(found) for _ in range(5))
        until(lambda: started(tmp_path) == 4)
        assert ask(found)


def test_workers_shut_down_in_time_without_their_supervisor(tmp_path: Path) -> None:
    """Whatever their clients do."""
    with served(tmp_path, 2, SIGMOID_SHUTDOWN_SECONDS="2") as found:
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


def lives(pid: int) -> bool:
    with suppress(OSError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False


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


def test_a_first_worker_that_hangs_before_it_connects(tmp_path: Path) -> None:
    code = _FIRST_HANGS.format(mark=str(tmp_path / "mark"))
    (tmp_path / "sitecustomize.py").write_text(code)
    start = monotonic()
    with served(
        tmp_path, 2, PYTHONPATH=python_path(tmp_path), SIGMOID_LOAD_SECONDS="5"
    ) as found:
        assert monotonic() - start < 45
        assert "worker 0 was not ready after 21 s, killing it" in log_of(found)
        # The worker that waited for it has not hung.
        assert log_of(found).count("killing it") == 1
        assert ask(found)


@WORKERS
def test_a_start_that_hangs(tmp_path: Path, workers: int) -> None:
    _, variables = hook(tmp_path)
    path = put(tmp_path / "m.safetensors", 1)
    put_hanging(path, "anywhere")
    start = monotonic()
    assert call_serve(tmp_path, path, workers, variables) == 1
    assert monotonic() - start < 15
    last = (tmp_path / "log").read_text().splitlines()[-1]
    assert last.startswith("sigmoid-serve: the models were not read and loaded within")


def call_serve(
    folder: Path, path: Path, workers: int, variables: dict[str, str]
) -> int:
    given = environment(
        SIGMOID_WORKERS=str(workers), SIGMOID_LOAD_SECONDS="2", **variables
    )
    with (folder / "log").open("w") as log:
        command = [*COMMAND, "serve", "--port", "0", str(path)]
        return subprocess.run(
            command, stderr=log, env=given, timeout=TIMEOUT, check=False
        ).returncode
