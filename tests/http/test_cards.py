"""The cards of models and of their versions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from jsonschema_rs import Draft202012Validator
from torch import nn

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import QUANTILES, ModelCard, Training
from sigmoid_models.checkpoint import load_checkpoint, save_checkpoint
from sigmoid_models.classifier import linear_layers, sequential
from sigmoid_models.gradients.depth import layer_depths, rows_of
from sigmoid_models.logits import golden_of
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.conftest import serve

TRAINING = Training(
    dataset="made",
    seed=1,
    init="default",
    epochs=2,
    rows=(6, 2, 2),
    gradient_norms_initial=(1, 2),
    gradient_norms_final=(3, 4),
)


def save(place: Path, sizes: tuple[int, ...], rows: int, **more: Any) -> None:
    torch.manual_seed(0)
    card = ModelCard(
        architecture=Architecture(kind="Sequential", sizes=sizes),
        activation="relu",
        task="binary",
        **more,
    )
    network = sequential(sizes, card.activations)
    for layer in linear_layers(network) if len(sizes) > 10 else ():
        nn.init.constant_(layer.weight, 3e38)
        nn.init.ones_(layer.bias)
    if rows:
        inputs = torch.randn(rows, sizes[0]).double().numpy()
        golden = golden_of(network, card, inputs)
        card = card.model_copy(update={"golden": golden})
    save_checkpoint(place / "model.safetensors", network, card)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("models")
    rising = tuple(map(float, range(QUANTILES)))
    save(folder / "two" / "1", (2, 3, 1), 0)
    save(folder / "two" / "10", (2, 3, 1), 70, training=TRAINING)
    save(folder / "two" / "9", (2, 1), 0, quantiles=((7.0,) * QUANTILES, rising))
    save(folder / "long" / "1", (2000, 1), 40)
    save(folder / "endless" / "1", (2, *[3] * 9, 1), 0)
    with serve(Settings(), [folder]) as client:
        yield client


def answer(client: httpx.Client, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("name", ["breast-cancer", "digits"])
def test_what_a_shipped_model_says(client: httpx.Client, name: str) -> None:
    shown = answer(client, f"/models/{name}")
    loaded = load_checkpoint(PRETRAINED / name / "1" / "model.safetensors")
    card = loaded.card
    assert card.golden
    assert card.quantiles
    assert card.training
    assert shown["examples"] == [list(row) for row in card.golden.inputs]
    assert shown["quantiles"] == [list(row) for row in card.quantiles]
    depths = layer_depths(loaded.network, card, rows_of(card))
    assert depths
    assert shown["depth"] == [depth._asdict() for depth in depths]
    names = ("init", "rows", "gradient_norms_initial", "gradient_norms_final")
    told = card.training.model_dump(mode="json")
    assert shown["training"] == {name: told[name] for name in names}
    assert answer(client, f"/models/{name}/versions/1") == shown


def test_each_version_has_its_own(served: httpx.Client) -> None:
    cards = {n: answer(served, f"/models/two/versions/{n}") for n in ("1", "9", "10")}
    assert answer(served, "/models/two") == cards["10"]
    for number, card in cards.items():
        assert (card["version"], card["versions"]) == (number, ["10", "9", "1"])
        assert (card["name"], card["state"]) == ("two", "ready")
    assert len({card["sha256"] for card in cards.values()}) == 3
    assert cards["10"]["training"]["gradient_norms_final"] == [3, 4]
    assert cards["1"]["training"] is None
    assert cards["9"]["quantiles"] == [[7] * QUANTILES, list(range(QUANTILES))]
    assert cards["1"]["quantiles"] is None
    assert cards["9"]["depth"] is None
    assert [len(cards[n]["depth"]) for n in ("1", "10")] == [1, 1]
    assert cards["1"]["examples"] == []


def test_examples_are_bounded(served: httpx.Client) -> None:
    assert len(answer(served, "/models/two")["examples"]) == 64
    assert len(answer(served, "/models/long")["examples"]) == 2**16 // 2000


def test_what_is_not_finite_is_left_out(served: httpx.Client) -> None:
    assert answer(served, "/models/endless")["depth"] is None


def test_the_schema_describes_them(served: httpx.Client) -> None:
    document = answer(served, "/openapi.json")
    schema = {"$ref": "#/components/schemas/Card", **document}
    validator = Draft202012Validator(schema)
    for path in ("/models/two", "/models/two/versions/9", "/models/endless"):
        validator.validate(answer(served, path))
    added = document["components"]["schemas"]["Card"]["properties"]
    for name in ("quantiles", "examples", "depth", "training"):
        assert added[name]["description"]
