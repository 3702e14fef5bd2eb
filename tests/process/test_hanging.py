"""Workers that hang, fail or end: logged, replaced, and no delay for others."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from sigmoid_serve.process.heartbeat import CHECK_SECONDS, MAX_MISSED_BEATS
from tests.hanging import hook, put_large
from tests.process.standing import Standing, log_of, starts
from tests.process.test_workers import children, until
from tests.registry.test_reloading import ADMIN, ROWS, Served, put
from tests.running import BARE, PLAIN, TIMEOUT, counted, serving, until_ready

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
        found = Served(client, models, process)
        until_ready(client)
        until(lambda: starts(found) == workers)
        yield found


def ask(found: Served, timeout: float = TIMEOUT) -> bool:
    """Ask on a new connection; return whether it was answered in time."""
    url, body = found.client.base_url, {"inputs": ROWS}
    with httpx.Client(
        base_url=url, timeout=timeout, headers=ADMIN, verify=PLAIN
    ) as client:
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
            response = httpx.post(
                url.join(path), headers=ADMIN, timeout=TIMEOUT, verify=PLAIN
            )
            self.status, self.text = response.status_code, response.text
        self.seconds = monotonic() - begin


def shas(found: Served, workers: int) -> set[str]:
    """Ask all workers for the checkpoint of `m`."""
    answers: dict[str, str] = {}
    url = found.client.base_url.join("/models/m")
    end = monotonic() + TIMEOUT
    while len(answers) < workers:
        assert monotonic() < end
        response = httpx.get(url, headers=ADMIN, verify=PLAIN)
        worker = response.headers["x-request-id"][:20]
        answers[worker] = response.json()["sha256"]
    return set(answers.values())


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """A service of two workers, whose channels fail while there is a mark."""

    def serve(folder: Path) -> AbstractContextManager[Served]:
        _, variables = hook(folder)
        return served(folder, 2, SIGMOID_SHUTDOWN_SECONDS="1", **variables)

    standing = Standing(tmp_path_factory.mktemp("pair"), serve)
    yield standing
    standing.close()


def test_a_stopped_worker_is_restarted(pair: Standing) -> None:
    """Others answer meanwhile; a reload gets a response, and all workers serve."""
    with pair.use() as found:
        old = shas(found, 2)
        restarts = counted(found.client, "sigmoid_worker_restarts_total")
        begun = starts(found)
        victim = children(found.process.pid)[0]
        os.kill(victim, signal.SIGSTOP)
        start = monotonic()
        # Too large for the socket buffer of a stopped worker.
        put_large(found.file(1), 100_000)
        reload = Reloading(found)
        answers = []
        while "no heartbeat for 10 s" not in log_of(found):
            assert monotonic() - start < 15
            answers.append(ask(found, timeout=1))
            sleep(0.02)
        assert monotonic() - start > 9
        assert answers.count(True) > 3 * answers.count(False)
        reload.join(25)
        assert reload.status == 503
        assert "a worker exited before it had loaded it" in reload.text
        until(lambda: starts(found) == begun + 1)
        assert victim not in children(found.process.pid)
        until_ready(found.client)
        assert counted(found.client, "sigmoid_worker_restarts_total") == restarts + 1
        assert shas(found, 2) == old
        assert all(ask(found) for _ in range(20))
        assert found.reload().status_code == 200
        new = {sha256(found.file(1).read_bytes()).hexdigest()}
        assert shas(found, 2) == new != old


@pytest.mark.parametrize("message", [b"Commit", b"Abort"], ids=["1", "2"])
def test_a_channel_that_fails(pair: Standing, message: bytes) -> None:
    """A worker whose channel fails exits, and a new one takes its place."""
    with pair.use() as found:
        folder = found.models.parent
        begun, told = starts(found), len(log_of(found))
        if message == b"Commit":
            put(found.file(1), 2)
        else:
            found.file(1).write_bytes(b"damaged")
        mark = folder / "mark"
        mark.write_bytes(message)
        reload = Reloading(found)
        reload.join()
        mark.unlink()
        # A new worker may get the same message.
        until(lambda: starts(found) >= begun + 2)
        error = "unexpected error in a message of the supervisor"
        assert log_of(found)[told:].count(error) >= 2
        put(found.file(1), 2)
        until_ready(found.client)
        new = {sha256(found.file(1).read_bytes()).hexdigest()}
        if message == b"Commit":
            assert shas(found, 2) == new
        with httpx.Client(base_url=found.client.base_url, headers=ADMIN) as client:
            url = "/models/m/reload"
            assert client.post(url, timeout=TIMEOUT).status_code == 200
        assert shas(found, 2) == new


def test_a_worker_that_is_told_to_shut_down_alone(pair: Standing) -> None:
    """It finishes its requests, and the others go on to listen."""
    with pair.use() as found:
        begun = starts(found)
        for victim in children(found.process.pid):
            os.kill(victim, signal.SIGTERM)
            until(lambda victim=victim: not lives(victim))
            assert all(ask(found) for _ in range(5))
        until(lambda: starts(found) == begun + 2)
        assert ask(found)


def test_no_worker_is_restarted_if_all_were_stopped(pair: Standing) -> None:
    """As when a container is frozen for a while, or a machine sleeps."""
    with pair.use() as found:
        restarts = counted(found.client, "sigmoid_worker_restarts_total")
        workers = children(found.process.pid)
        everyone = [found.process.pid, *workers]
        for pid in everyone:
            os.kill(pid, signal.SIGSTOP)
        # Longer than a worker may be without a heartbeat; then two checks at least.
        sleep(MAX_MISSED_BEATS * CHECK_SECONDS + 1)
        for pid in everyone:
            os.kill(pid, signal.SIGCONT)
        sleep(2.5 * CHECK_SECONDS)
        assert children(found.process.pid) == workers
        assert counted(found.client, "sigmoid_worker_restarts_total") == restarts
        assert ask(found)


def test_shutdown_while_a_worker_is_stopped(pair: Standing) -> None:
    with pair.use() as found:
        os.kill(children(found.process.pid)[0], signal.SIGSTOP)
        found.process.send_signal(signal.SIGTERM)
        start = monotonic()
        assert found.process.wait(TIMEOUT) == 0
        assert 1 <= monotonic() - start < 7
        assert "did not exit within 2 s, killing it" in log_of(found)


def lives(pid: int) -> bool:
    with suppress(OSError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False
