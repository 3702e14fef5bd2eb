"""Files that do not say their activation, in every way that they are served."""

import asyncio
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from starlette.types import Message, Scope

from sigmoid_models.activation import NAMES
from sigmoid_models.checkpoint import CheckpointError, load_checkpoint
from sigmoid_models.classifier import Classifier
from sigmoid_models.functions import function_of
from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import ServingError, Settings, read_settings
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.conftest import serve
from tests.process.test_workers import until
from tests.registry.test_reloading import ADMIN
from tests.running import TIMEOUT, serving, settings_of, until_ready

ROWS = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)


def put(path: Path, seed: int = 0) -> Classifier:
    """Save the tutorial's network as the tutorial does."""
    torch.manual_seed(seed)
    network = Classifier(4, 5, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)
    return network


def expected(network: Classifier, activation: str) -> np.ndarray:
    """Compute its logits with another function between its layers."""
    function = function_of(activation).module()
    with torch.no_grad():
        hidden = function(network.fc1(torch.from_numpy(ROWS)))
        return np.asarray(network.fc2(hidden).numpy())


def logits(client: httpx.Client, name: str) -> np.ndarray:
    answer = client.post(f"/models/{name}/predict", json={"inputs": ROWS.tolist()})
    assert answer.status_code == 200, answer.text
    return np.array(answer.json()["logits"])


def test_a_named_file_stops_the_start(tmp_path: Path) -> None:
    """As a command in `test_own_training`; of workers in `test_load_problems`."""
    path = tmp_path / "model.pt"
    put(path)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    told = str(caught.value)
    assert "--activation" in told
    with pytest.raises(ServingError) as refused:
        create_app(Settings(), [path])
    assert str(refused.value) == told


@pytest.mark.parametrize("activation", ["sigmoid", "relu", "leaky_relu:0.3"])
def test_with_the_option_it_is_served(tmp_path: Path, activation: str) -> None:
    """The option itself is typed in `test_own_training`."""
    network = put(tmp_path / "model.pt")
    settings = read_settings(activation=activation)
    with serve(settings, [tmp_path / "model.pt"]) as client:
        card = client.get("/models/model").json()
        found = logits(client, "model")
    assert card["activation"] == activation
    assert card["activation_source"] == "named by the user"
    np.testing.assert_allclose(found, expected(network, activation), 1e-5, 1e-6)


def reloaded(
    client: httpx.Client, path: Path, first: Classifier, log: Callable[[], str]
) -> int:
    """Reload a network and another in its place; return what the log says of it."""
    np.testing.assert_allclose(logits(client, "m"), expected(first, "tanh"), 1e-5, 1e-6)
    second = put(path, 1)
    assert client.post("/models/m/reload").status_code == 200
    np.testing.assert_allclose(
        logits(client, "m"), expected(second, "tanh"), 1e-5, 1e-6
    )
    # What is there already is not told of again.
    before = log().count("has no scaler")
    assert client.post("/models/m/reload").status_code == 200
    assert log().count("has no scaler") == before
    return before


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    keys = tmp_path / "keys"
    keys.write_text(f"root {sha256(b'secret').hexdigest()} admin\n")
    return {"SIGMOID_ACTIVATION": "tanh", "SIGMOID_API_KEYS_FILE": str(keys)}


def test_a_reload_knows_it(
    tmp_path: Path, variables: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "m" / "1" / "model.pt"
    first = put(path)
    with serve(settings_of(**variables), [tmp_path / "m"]) as client:
        client.headers.update(ADMIN)
        assert reloaded(client, path, first, lambda: caplog.text) == 2


def test_a_reload_and_all_workers_know_it(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    path, log = tmp_path / "m" / "1" / "model.pt", tmp_path / "log"
    first = put(path)
    with (
        serving(log, tmp_path / "m", SIGMOID_WORKERS="2", **variables) as (_, url),
        httpx.Client(base_url=url, timeout=TIMEOUT, headers=ADMIN) as client,
    ):
        until_ready(client)
        until(lambda: log.read_text().count("Started server") == 2)
        assert reloaded(client, path, first, log.read_text) == 4


def test_one_in_a_folder_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path / "models" / "bare.pt")
    shutil.copytree(PRETRAINED, tmp_path / "models", dirs_exist_ok=True)
    app = create_app(Settings(models=(tmp_path / "models",)))
    registry = app.state.context.registry
    assert list(registry.models) == ["breast-cancer", "digits"]
    assert [each.label for each in registry.passed_over] == ["bare/1"]
    assert "activation" in registry.passed_over[0].reason
    assert str(tmp_path / "models" / "bare.pt") in caplog.text
    settings = Settings(models=(tmp_path / "models",), activation=("relu",))
    assert "bare" in create_app(settings).state.context.registry.models
    with pytest.raises(ServingError, match="activation"):
        create_app(Settings(), [tmp_path / "models" / "bare.pt"])


def test_a_folder_of_nothing_else(tmp_path: Path) -> None:
    put(tmp_path / "models" / "bare.pt")
    with pytest.raises(ServingError, match=r"nothing to serve: .*activation"):
        create_app(Settings(models=(tmp_path / "models",)))


def test_it_counts_for_no_card() -> None:
    with_it = create_app(Settings(activation=("relu",))).state.context.registry
    for name in with_it.models:
        card = with_it.find(name).engine.card
        assert (card.activation, card.activation_source) == ("sigmoid", "card")


def test_the_environment_of_another_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "bare.pt")
    monkeypatch.setenv("SIGMOID_MODELS", str(tmp_path / "bare.pt"))
    assert "activation" in asyncio.run(started())["message"]
    monkeypatch.setenv("SIGMOID_ACTIVATION", "elu")
    assert asyncio.run(started())["type"] == "lifespan.startup.complete"


async def started() -> Message:
    """Start an application as another ASGI server does; return its answer."""
    sent: list[Message] = []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    await create_app()(scope, receive, send)
    return sent[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_a_setting(name: str) -> None:
    assert Settings(activation=(name,)).activation == (name,)
