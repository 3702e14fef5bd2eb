"""Cards of checkpoints: each that is wrong is an error that says where."""

import json
from pathlib import Path

import pytest
import torch

from sigmoid_models.card import Scaler
from sigmoid_models.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from sigmoid_models.intake.named import Named
from tests.models.test_checkpoint import CARD, SIGMOID, error_message, weights, write


def card(**changes: object) -> str:
    document = json.loads(CARD.model_dump_json(exclude_none=True))
    return json.dumps({**document, **changes})


def training(**changes: object) -> dict[str, object]:
    return {
        "dataset": "d",
        "seed": 0,
        "init": "sigmoid",
        "epochs": 1,
        "rows": [6, 2, 2],
        "gradient_norms_initial": [1, 2],
        "gradient_norms_final": [1, 2],
        **changes,
    }


BAD_CARDS: dict[str, tuple[str, str]] = {
    "not JSON": ("{", "its card is not JSON"),
    "empty": ("", "its card is not JSON"),
    "too deep": ("[" * 8_000, "its card is not JSON"),
    "a list": ("[]", "its card has the format None, not 1 or 2"),
    "no format": ("{}", "its card has the format None, not 1 or 2"),
    "later format": (card(format=3), "its card has the format 3, not 1 or 2"),
    "format true": (card(format=True), "its card has the format True, not 1 or 2"),
    "format of text": (card(format="2"), "its card has the format 2, not 1 or 2"),
    "format of two lines": (card(format="1\n2"), "its card has the format"),
    "unknown entry": (card(extra=1), "its card is wrong at extra"),
    "unknown entry of two lines": (card(**{"a\nb": 1}), "its card is wrong at"),
    "coerced": (card(temperature="1"), "its card is wrong at temperature"),
    "no temperature": (card(temperature=0), "its card is wrong at temperature"),
    "no task": ('{"format": 2}', "its card is wrong at architecture"),
    "other activation": (card(activation="cube"), "its card is wrong at activation"),
    "activation of another class": (
        card(activation="relu"),
        "a Classifier has the sigmoid between its layers",
    ),
    "too many activations": (
        card(activation=["sigmoid", "sigmoid"]),
        "activation has 2 entries, not 1",
    ),
    "activations of a class": (
        card(activation=["tanh"]),
        "a Classifier has the sigmoid between its layers",
    ),
    "no source": (
        card(activation_source="guessed"),
        "its card is wrong at activation_source",
    ),
    "no link": (card(link="probit"), "its card is wrong at link"),
    "link of another task": (
        card(task="multilabel", link="softmax"),
        "the link is softmax, but the task is multilabel",
    ),
    "names of layers": (card(layers=["a"]), "layers has 1 entries, not 2"),
    "other task": (card(task="binary"), "the task is binary, but the outputs are 3"),
    "other widths": (
        card(architecture={"kind": "Classifier", "sizes": [4, 6, 3]}),
        "its weights are no Classifier [4, 6, 3], as its card says: "
        "fc1.weight is [5, 4], not [6, 4]",
    ),
    "other class": (
        card(architecture={"kind": "Sequential", "sizes": [4, 5, 3]}),
        "its weights are no Sequential [4, 5, 3], as its card says: missing 0.bias, "
        "0.weight, 2.bias, 2.weight, unexpected fc1.bias, fc1.weight, fc2.bias, ",
    ),
    "features": (card(features=["a"]), "features has 1 entries, not 4"),
    "classes": (card(classes=["a", "b"]), "classes has 2 entries, not 3"),
    "scaler": (
        card(scaler={"mean": [0, 0, 0], "scale": [1, 1, 1, 1]}),
        "scaler.mean has 3 entries, not 4",
    ),
    "scale of zero": (
        card(scaler={"mean": [0] * 4, "scale": [1, 1, 1, 0]}),
        "its card is wrong at scaler.scale.3",
    ),
    "thresholds": (card(thresholds=[0.5]), "thresholds has 1 entries, not 3"),
    "golden rows": (
        card(golden={"inputs": [[0] * 4], "logits": [[0] * 3] * 2}),
        "golden.logits has 2 entries, not 1",
    ),
    "golden inputs": (
        card(golden={"inputs": [[0] * 5], "logits": [[0] * 3]}),
        "golden.inputs has 5 entries, not 4",
    ),
    "golden logits": (
        card(golden={"inputs": [[0] * 4], "logits": [[0] * 2]}),
        "golden.logits has 2 entries, not 3",
    ),
    "no golden row": (
        card(golden={"inputs": [], "logits": []}),
        "its card is wrong at golden.inputs",
    ),
    "quantiles of too few features": (
        card(quantiles=[[0] * 32] * 3),
        "quantiles has 3 entries, not 4",
    ),
    "too few quantiles": (
        card(quantiles=[[0] * 32] * 3 + [[0] * 31]),
        "quantiles has 31 entries, not 32",
    ),
    "quantiles that fall": (
        card(quantiles=[[0] * 32] * 3 + [[0] * 31 + [-1]]),
        "quantiles.3 falls; sort its values",
    ),
    "quantiles that are not finite": (
        card(quantiles=[[0] * 32] * 3 + [[0] * 31 + [float("inf")]]),
        "its card is",
    ),
    "quantiles of format 1": (
        card(format=1, quantiles=None, activation_source=None),
        "its card is wrong at activation_source: unknown in format 1",
    ),
    "initial gradients": (
        card(training=training(gradient_norms_initial=[1])),
        "training.gradient_norms_initial has 1 entries, not 2",
    ),
    "final gradients": (
        card(training=training(gradient_norms_final=[1, 2, 3])),
        "training.gradient_norms_final has 3 entries, not 2",
    ),
    "a feature twice": (
        card(features=["a", "b", "a", "c"]),
        "features names one of its entries twice",
    ),
    "a class twice": (
        card(classes=["a", "b", "a"]),
        "classes names one of its entries twice",
    ),
    "NaN": (card(temperature=float("nan")), "its card is"),
}


def test_a_card_with_its_training(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write(path, weights(), card(training=training()))
    assert load_checkpoint(path).card.training


FORMAT_1 = """{"format": 1, "architecture": {"kind": "Classifier", "sizes": [4, 5, 3]},
"activation": "sigmoid", "task": "multiclass", "features": ["a", "b", "c", "d"],
"scaler": {"mean": [0, 1, 2, 3], "scale": [1, 1, 2, 2]}, "classes": ["x", "y", "z"],
"temperature": 1.5, "golden": {"inputs": [[1, 2, 3, 4]], "logits": [[0, 0, 0]]}}"""


def test_a_card_of_format_1(tmp_path: Path) -> None:
    """As all releases before format 2 wrote it."""
    path = tmp_path / "model.safetensors"
    write(path, weights(), FORMAT_1)
    loaded = load_checkpoint(path)
    assert loaded.card == CARD.model_copy(
        update={
            "classes": ("x", "y", "z"),
            "scaler": Scaler(mean=(0, 1, 2, 3), scale=(1, 1, 2, 2)),
        }
    )
    save_checkpoint(path, loaded.network, loaded.card)
    again = load_checkpoint(path)
    assert again.card == loaded.card
    assert b'"format\\":2' in path.read_bytes()
    for name, tensor in loaded.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor)


def test_a_card_of_format_1_that_assumed_it(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write(path, weights(), FORMAT_1.replace('"sigmoid"', '"sigmoid (assumed)"'))
    with pytest.raises(CheckpointError, match=r"only assumes .* --activation"):
        load_checkpoint(path)
    card = load_checkpoint(path, named=SIGMOID).card
    assert (card.activation, card.activation_source) == ("sigmoid", "named by the user")


def test_a_card_wins_over_what_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write(path, weights(), card())
    loaded = load_checkpoint(path, named=Named(activation=("relu",)))
    assert loaded.card == CARD


@pytest.mark.parametrize("case", BAD_CARDS)
def test_refused_card(tmp_path: Path, case: str) -> None:
    header, expected = BAD_CARDS[case]
    path = tmp_path / "model.safetensors"
    write(path, weights(), header)
    assert expected in error_message(path)
