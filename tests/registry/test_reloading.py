"""Other versions in place of those that serve: all of it, or nothing."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import numpy as np
import pytest
import safetensors.torch
import torch

from sigmoid_models.card import Golden
from sigmoid_models.checkpoint import load_checkpoint, save_checkpoint
from sigmoid_models.classifier import Classifier
from sigmoid_models.intake.named import Named
from tests.running import BARE, TIMEOUT, counted, serving, until_ready

ADMIN = {"Authorization": "Bearer secret"}
ROWS = np.linspace(-2, 2, 12).reshape(3, 4).tolist()


def put(path: Path, seed: int) -> Path:
    """Put a network in place, as a whole."""
    torch.manual_seed(seed)
    network = Classifier(4, 5, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    safetensors.torch.save_file(dict(network.state_dict()), partial)
    os.replace(partial, path)
    return path


def put_wrong(path: Path) -> None:
    """Put a file in place whose golden rows do not come out right."""
    loaded = load_checkpoint(put(path, 5), named=Named(activation=("sigmoid",)))
    golden = Golden(inputs=((1, 2, 3, 4),), logits=((9, 9, 9),))
    card = loaded.card.model_copy(update={"golden": golden})
    save_checkpoint(path, loaded.network, card)


class Served:
    """A running service, and its folder of models."""

    def __init__(self, client: httpx.Client, models: Path, process: Any) -> None:
        self.client, self.models, self.process = client, models, process

    def file(self, version: int) -> Path:
        return self.models / "m" / str(version) / "model.safetensors"

    def reload(self, name: str = "m") -> httpx.Response:
        return self.client.post(f"/models/{name}/reload", headers=ADMIN)

    def answer(self, path: str = "/models/m/predict") -> Any:
        response = self.client.post(path, json={"inputs": ROWS})
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture(scope="module", params=["1", "2"], ids=["1 worker", "2 workers"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    models = folder / "models"
    put(models / "m" / "1" / "model.safetensors", 1)
    put(models / "other" / "1" / "model.safetensors", 9)
    keys = folder / "keys"
    keys.write_text(f"root {sha256(b'secret').hexdigest()} admin\n")
    with (
        serving(
            folder / "log",
            models,
            SIGMOID_WORKERS=request.param,
            SIGMOID_API_KEYS_FILE=str(keys),
            **BARE,
        ) as (process, address),
        httpx.Client(base_url=address, timeout=TIMEOUT, headers=ADMIN) as client,
    ):
        until_ready(client)
        yield Served(client, models, process)


@pytest.fixture
def served(running: Served) -> Served:
    """The service with version 1 of seed 1, and no other."""
    shutil.rmtree(running.models / "m")
    put(running.file(1), 1)
    assert running.reload().json() == {"model": "m", "version": "1"}
    return running


def test_a_new_version_serves_and_the_old_one_stays_under_its_path(
    served: Served,
) -> None:
    before = served.answer()
    put(served.file(2), 2)
    assert served.answer() == before
    assert served.reload().json() == {"model": "m", "version": "2"}
    after = served.answer()
    assert (before["version"], after["version"]) == ("1", "2")
    assert after["logits"] != before["logits"]
    assert served.answer("/models/m/versions/1/predict") == before
    card = served.client.get("/models/m").json()
    assert (card["version"], card["versions"]) == ("2", ["2", "1"])


def test_the_same_version_with_other_bytes(served: Served) -> None:
    before = served.answer()
    put(served.file(1), 3)
    assert served.reload().status_code == 200
    after = served.answer()
    assert after["version"] == before["version"] == "1"
    assert after["logits"] != before["logits"]
    digest = served.client.get("/models/m").json()["sha256"]
    assert digest == sha256(served.file(1).read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", ["cut", "noise", "nan", "golden", "missing", "odd"])
def test_a_bad_version_changes_nothing(served: Served, kind: str) -> None:
    before = served.answer()
    refused = counted(
        served.client, "sigmoid_reloads_total", model="m", result="failure"
    )
    file = put(served.file(2), 2)
    if kind == "cut":
        file.write_bytes(file.read_bytes()[:-7])
    elif kind == "noise":
        file.write_bytes(os.urandom(1000))
    elif kind == "nan":
        network = Classifier(4, 5, 3)
        with torch.no_grad():
            network.fc1.weight[0, 0] = torch.nan
        safetensors.torch.save_file(dict(network.state_dict()), file)
    elif kind == "golden":
        put_wrong(file)
    elif kind == "missing":
        file.unlink()
    else:
        file.parent.rename(file.parent.with_name("two"))
    response = served.reload()
    assert (response.status_code, response.json()["code"]) == (503, "not_ready")
    assert (
        "reload of m failed, keeping the running version" in response.json()["detail"]
    )
    assert served.answer() == before
    assert served.client.get("/readyz").status_code == 200
    assert counted(
        served.client, "sigmoid_reloads_total", model="m", result="failure"
    ) == (refused + 1)


def test_a_model_whose_files_are_gone_goes_on(served: Served) -> None:
    before = served.answer()
    shutil.rmtree(served.models / "m")
    response = served.reload()
    assert response.status_code == 503
    assert "not there any more" in response.json()["detail"]
    assert served.answer() == before
    put(served.file(1), 1)


def test_what_is_no_model(served: Served) -> None:
    response = served.reload("nobody")
    assert (response.status_code, response.json()["code"]) == (404, "model_not_found")
    assert "nobody" not in served.client.get("/metrics").text


def test_a_new_model_is_found_at_hangup(served: Served) -> None:
    put(served.models / "newcomer" / "7" / "model.safetensors", 4)
    put(served.file(3), 3)
    put(served.models / "other" / "2" / "model.safetensors", 9).write_bytes(b"bad")
    try:
        served.process.send_signal(signal.SIGHUP)
        end = monotonic() + TIMEOUT
        while counted(served.client, "sigmoid_reloads_total", model="other") < 1:
            assert monotonic() < end
            sleep(0.05)
        names = {
            m["name"]: m["version"]
            for m in served.client.get("/models").json()["models"]
        }
        assert names == {"m": "3", "newcomer": "7", "other": "1"}
        assert served.client.get("/models").json()["default"] == "m"
    finally:
        shutil.rmtree(served.models / "other" / "2")


def test_many_swaps_under_load(served: Served) -> None:
    files = [put(served.models.parent / f"{seed}.safetensors", seed) for seed in (1, 2)]
    wants = []
    for file in files:
        shutil.copy(file, served.file(1))
        served.reload()
        wants.append(served.answer())
    stop = threading.Event()
    faults: list[object] = []
    answered = [0] * 4

    def ask(number: int) -> None:
        with httpx.Client(
            base_url=served.client.base_url, timeout=TIMEOUT, headers=ADMIN
        ) as client:
            while not stop.is_set():
                response = client.post("/models/m/predict", json={"inputs": ROWS})
                if response.status_code != 200 or response.json() not in wants:
                    faults.append(response.text)
                answered[number] += 1

    clients = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for client in clients:
        client.start()
    for swap in range(40):
        partial = served.models / ".partial"
        shutil.copy(files[swap % 2], partial)
        os.replace(partial, served.file(1))
        assert served.reload().status_code == 200
        # Every worker has swapped by then.
        assert served.answer() == wants[swap % 2]
    stop.set()
    for client in clients:
        client.join()
    assert faults == []
    assert min(answered) > 0
