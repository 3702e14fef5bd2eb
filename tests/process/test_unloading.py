"""Models that are served no more in any worker, whatever else happens meanwhile."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
import safetensors.torch

from sigmoid_models.classifier import Classifier
from tests.hanging import hook, put_hanging
from tests.process.standing import Standing, log_of, starts
from tests.process.test_hanging import Reloading, served
from tests.process.test_workers import children, until
from tests.registry.test_reloading import ADMIN, ROWS, Served, put
from tests.running import PLAIN, TIMEOUT, counted

# Bytes of the weights that `put_wide` puts in place, all but a few.
WEIGHTS = 4 * (1000 * 2000 + 2000 * 1000)

WORKERS = pytest.mark.parametrize("standing", [1, 2], indirect=True)
PAIR = pytest.mark.parametrize("standing", [2], indirect=True)


class Running(Served):
    """A service, and how many workers it has."""

    def __init__(self, found: Served, workers: int) -> None:
        super().__init__(found.client, found.models, found.process)
        self.workers = workers


@pytest.fixture(scope="module")
def standing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Standing, int]]:
    """A service of some workers that all tests share."""

    def serve(folder: Path) -> AbstractContextManager[Served]:
        _, variables = hook(folder)
        return served(folder, request.param, SIGMOID_DRAIN_SECONDS="3", **variables)

    standing = Standing(tmp_path_factory.mktemp("running"), serve)
    yield standing, request.param
    standing.close()


@pytest.fixture
def found(standing: tuple[Standing, int]) -> Iterator[Running]:
    """The service with the first version of both models in all workers."""
    service, workers = standing
    with service.use() as found:
        yield Running(found, workers)


def change(found: Served, name: str, what: str) -> tuple[int, str]:
    """Load or unload a model; return the status and the error, if there is one."""
    url = found.client.base_url.join(f"/v2/repository/models/{name}/{what}")
    response = httpx.post(url, headers=ADMIN, timeout=TIMEOUT, verify=PLAIN)
    return response.status_code, response.json().get("error", "")


def of_all(found: Running, path: str, method: str = "GET") -> list[Any]:
    """Ask all workers; return their different answers."""
    answers: dict[str, Any] = {}
    url = found.client.base_url.join(path)
    body = {"inputs": ROWS} if path.endswith("/predict") else None

    def ask() -> bool:
        response = httpx.request(
            method, url, headers=ADMIN, timeout=TIMEOUT, json=body, verify=PLAIN
        )
        told = response.json()
        if isinstance(told, dict):
            told.pop("request_id", None)
        answers[response.headers["x-request-id"][:20]] = told
        return len(answers) == found.workers

    until(ask)
    different: list[Any] = []
    for told in answers.values():
        if told not in different:
            different.append(told)
    return different


def put_wide(path: Path) -> None:
    """Put a network in place that takes some time to load, and some memory."""
    partial = path.with_name(f".{path.name}")
    state = dict(Classifier(1000, 2000, 1000).state_dict())
    safetensors.torch.save_file(state, partial)
    os.replace(partial, path)


class Asking(threading.Thread):
    """A client that asks for `m` until it is stopped, and notes what it is told."""

    def __init__(self, found: Served, want: object) -> None:
        super().__init__()
        self.found, self.want = found, want
        self.is_stopped = False
        self.counts = {"ok": 0, "not_ready": 0}
        self.faults: list[str] = []
        self.start()

    def run(self) -> None:
        url = self.found.client.base_url
        with httpx.Client(
            base_url=url, timeout=TIMEOUT, headers=ADMIN, verify=PLAIN
        ) as client:
            while not self.is_stopped:
                response = client.post("/models/m/predict", json={"inputs": ROWS})
                told = response.json()
                if response.status_code == 503 and told["code"] == "not_ready":
                    self.counts["not_ready"] += 1
                elif response.status_code == 200 and told == self.want:
                    self.counts["ok"] += 1
                else:
                    self.faults.append(response.text)


@WORKERS
def test_under_load(found: Running) -> None:
    """Every answer is the model's or says that it is unloaded; after it, of all."""
    unloads = {"model": "m", "result": "success"}
    log = log_of(found)
    before = counted(found.client, "sigmoid_unloads_total", **unloads)
    want = found.answer()
    clients = [Asking(found, want) for _ in range(3)]
    for _ in range(5):
        assert change(found, "m", "unload") == (200, "")
        (told,) = of_all(found, "/models/m/predict", "POST")
        assert told["code"] == "not_ready"
        assert told["detail"].startswith("model m is not served: it was unloaded;")
        until(lambda: all(client.counts["not_ready"] for client in clients))
        assert change(found, "m", "load") == (200, "")
        assert of_all(found, "/models/m/predict", "POST") == [want]
    until(lambda: all(client.counts["ok"] for client in clients))
    for client in clients:
        client.is_stopped = True
        client.join()
    assert [client.faults for client in clients] == [[], [], []]
    assert counted(found.client, "sigmoid_unloads_total", **unloads) == before + 5
    lines = log_of(found).removeprefix(log)
    assert lines.count("model m unloaded") == 5
    assert lines.count("model m reloaded") == 5


@PAIR
def test_a_worker_that_is_restarted_does_not_load_it(found: Running) -> None:
    assert found.client.get("/models").json()["default"] == "m"
    assert change(found, "m", "unload") == (200, "")
    before = starts(found)
    os.kill(children(found.process.pid)[0], signal.SIGKILL)
    until(lambda: starts(found) == before + 1)
    (models,) = of_all(found, "/models")
    assert models["default"] == "m"
    assert [each["name"] for each in models["models"]] == ["other"]
    (told,) = of_all(found, "/predict", "POST")
    assert "it was unloaded" in told["detail"]
    index = of_all(found, "/v2/repository/index", "POST")
    assert index == [
        [
            entry("m", "UNAVAILABLE", "unloaded"),
            entry("other", "READY"),
            entry("sigmoid", "READY"),
        ]
    ]
    assert found.reload().json() == {"model": "m", "version": "1"}
    (told,) = of_all(found, "/predict", "POST")
    assert told["model"] == "m"


def entry(name: str, state: str, reason: str = "") -> dict[str, str]:
    return {"name": name, "version": "1", "state": state, "reason": reason}


class Changing(threading.Thread):
    """A change that another thread asks for."""

    def __init__(self, found: Served, name: str, what: str) -> None:
        super().__init__()
        self.asked = found, name, what
        self.told = 0, ""
        self.start()

    def run(self) -> None:
        self.told = change(*self.asked)


@PAIR
def test_a_reload_meanwhile(found: Running) -> None:
    """One comes after the other, and all workers do the same."""
    put_wide(found.file(1))
    changes = [Changing(found, "m", what) for what in ("load", "unload") * 2]
    for each in changes:
        each.join()
    assert [each.told for each in changes] == [(200, "")] * 4
    (models,) = of_all(found, "/models")
    names = [each["name"] for each in models["models"]]
    assert names in (["other"], ["m", "other"])


@PAIR
def test_two_at_once_leave_one(found: Running) -> None:
    changes = [Changing(found, name, "unload") for name in ("m", "other")]
    for each in changes:
        each.join()
    outcomes = [each.told for each in changes]
    assert sorted(status for status, _ in outcomes) == [200, 400]
    assert "is the last that is served" in max(outcomes)[1]
    (models,) = of_all(found, "/models")
    assert len(models["models"]) == 1


@PAIR
def test_while_a_worker_is_stopped(found: Running) -> None:
    """It is replaced by one that is not told of the model."""
    before = starts(found)
    os.kill(children(found.process.pid)[0], signal.SIGSTOP)
    assert change(found, "m", "unload") == (200, "")
    until(lambda: starts(found) == before + 1)
    (models,) = of_all(found, "/models")
    assert [each["name"] for each in models["models"]] == ["other"]


@WORKERS
def test_its_memory_is_given_back(found: Running) -> None:
    """In all processes, however often it is loaded and unloaded."""
    put_wide(found.file(1))
    assert change(found, "m", "load") == (200, "")
    pids = [found.process.pid, *children(found.process.pid)]
    sizes = []
    for _ in range(6):
        assert change(found, "m", "unload") == (200, "")
        assert change(found, "m", "load") == (200, "")
        sizes.append(sum(map(resident_bytes, pids)))
    # If it were kept, each round but the first two would add the weights.
    assert sizes[-1] - sizes[1] < 3 * found.workers * WEIGHTS, sizes


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@PAIR
def test_a_hangup_does_not_load_it(found: Running) -> None:
    assert change(found, "m", "unload") == (200, "")
    log = log_of(found)
    put(found.file(2), 2)
    put(found.models / "other" / "2" / "model.safetensors", 3)
    found.process.send_signal(signal.SIGHUP)
    until(lambda: "model other reloaded" in log_of(found).removeprefix(log))
    (told,) = of_all(found, "/models/m/predict", "POST")
    assert told["code"] == "not_ready"
    assert "model m reloaded" not in log_of(found).removeprefix(log)
    assert change(found, "m", "load") == (200, "")
    assert found.answer()["version"] == "2"


@PAIR
def test_while_loads_hang(found: Running) -> None:
    put_hanging(found.models / "other" / "1" / "model.safetensors", "in workers")
    hanging = Reloading(found, "other")
    until(lambda: hanging.ident)
    assert change(found, "m", "unload") == (200, "")
    assert hanging.is_alive()
    is_refused_at_shutdown(found)
    hanging.join()


@pytest.mark.parametrize("standing", [1], indirect=True)
def test_while_it_shuts_down(found: Running) -> None:
    is_refused_at_shutdown(found)


def is_refused_at_shutdown(found: Running) -> None:
    found.process.send_signal(signal.SIGTERM)
    url = found.client.base_url

    def is_draining() -> bool:
        response = httpx.get(url.join("/readyz"), timeout=TIMEOUT, verify=PLAIN)
        return response.status_code == 503

    until(is_draining)
    for what in ("unload", "load"):
        status, told = change(found, "m", what)
        assert (status, told) == (
            503,
            "this process is shutting down; ask another",
        )
    assert found.process.wait(TIMEOUT) == 0
