"""`inspect`: what a checkpoint says, to people and to programs."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from sigmoid_models.card import Golden
from sigmoid_models.checkpoint import load_checkpoint, save_checkpoint
from sigmoid_models.classifier import Classifier
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.cli.here import call, done, refused
from tests.cli.test_cli import call as call_process

SERVED = PRETRAINED / "breast-cancer/1/model.safetensors"


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    path = tmp_path / "m.pt"
    torch.save(Classifier(2, 3, 1).state_dict(), path)
    return path


def changed(path: Path, **update: Any) -> Path:
    checkpoint = load_checkpoint(SERVED)
    card = checkpoint.card.model_copy(update=update)
    save_checkpoint(path, checkpoint.network, card)
    return path


def wrong(path: Path) -> Path:
    return changed(path, golden=Golden(inputs=((0.0,) * 30,), logits=((9e9,),)))


def not_served(*arguments: str | Path) -> str:
    outcome = call("inspect", *arguments)
    assert outcome.returncode == 1
    assert outcome.stderr == ""
    return outcome.stdout


def test_without_a_card(bare: Path) -> None:
    shown = not_served(bare)
    assert re.search(r"activation +│ unknown", shown)
    assert "2 → 3" in shown
    assert "--activation NAME" in shown
    for named in (
        call("inspect", bare, "--activation", "relu"),
        call("inspect", bare, SIGMOID_ACTIVATION="relu"),
    ):
        assert named.returncode == 0
        assert "relu (named by the user)" in named.stdout
        assert "none: features must come as the network" in named.stdout
        assert re.search(r"golden rows +│ none", named.stdout)
    assert "SIGMOID_ACTIVATION: " in refused("inspect", bare, SIGMOID_ACTIVATION="x")


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    card = load_checkpoint(SERVED).card
    features = ("width [cm]", "[/x] :warning:", *(card.features or ())[2:])
    path = changed(tmp_path / "m[1].safetensors", features=features)
    shown = done("inspect", path)
    assert "width [cm], [/x] :warning:" in shown
    assert "m[1].safetensors" in shown
    assert json.loads(done("inspect", path, "--json"))["features"] == list(features)


def test_golden_rows_that_come_out_wrong(tmp_path: Path) -> None:
    path = wrong(tmp_path / "m.safetensors")
    assert "golden check failed" in not_served(path)
    document = json.loads(not_served(path, "--json"))
    assert document["served"] is False
    assert document["golden_rows"]["count"] == 1
    assert document["golden_rows"]["largest_error"] == pytest.approx(1)
    assert "golden check failed" in document["golden_rows"]["fault"]


def test_json() -> None:
    document = json.loads(done("inspect", SERVED, "--json"))
    card = load_checkpoint(SERVED).card
    assert document["card"] == card.model_dump(mode="json", exclude_none=True)
    assert document["sha256"] == hashlib.sha256(SERVED.read_bytes()).hexdigest()
    assert document["layers"] == [
        {"name": "fc1", "inputs": 30, "outputs": 64, "activation": "sigmoid"},
        {"name": "fc2", "inputs": 64, "outputs": 1, "activation": None},
    ]
    assert document["path"] == str(SERVED)
    assert document["served"] is True
    assert document["activation_source"] == "card"
    assert document["parameters"] == 2049
    assert document["classes"] == ["malignant", "benign"]
    assert document["features"] == list(card.features or ())
    assert document["golden_rows"]["fault"] is None
    assert document["golden_rows"]["largest_error"] < 1e-4
    assert document["questions"] == document["notes"] == []


def test_json_of_a_file_that_leaves_something_open(bare: Path) -> None:
    document = json.loads(not_served(bare, "--json"))
    assert document["served"] is False
    assert document["card"] is None
    assert document["golden_rows"] is None
    assert document["parameters"] == 13
    assert document["sha256"] == hashlib.sha256(bare.read_bytes()).hexdigest()
    assert [each["activation"] for each in document["layers"]] == [None, None]
    [question] = document["questions"]
    assert question.endswith("--activation NAME")
    named = json.loads(done("inspect", bare, "--json", "--activation", "relu"))
    assert named.keys() <= document.keys()
    assert named["questions"] == []
    assert named["notes"] == document["notes"] != []
    assert [each["activation"] for each in named["layers"]] == ["relu", None]


def test_json_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    path = changed(tmp_path / "m.safetensors", classes=("bösartig", "良性"))
    outcome = call_process(
        "inspect", path, "--json", LC_ALL="C", PYTHONIOENCODING="ascii"
    )
    assert outcome.returncode == 0
    assert json.loads(outcome.stdout)["classes"] == ["bösartig", "良性"]


@pytest.mark.parametrize(
    "command", ["inspect", "doctor", "convert -o copy.safetensors"]
)
def test_tables_are_shown_in_any_locale(tmp_path: Path, command: str) -> None:
    path = changed(tmp_path / "m.safetensors", classes=("bösartig", ":smile: [red]"))
    where = [each.replace("copy", str(tmp_path / "copy")) for each in command.split()]
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "SIGMOID_PORT": "0"}
    outcome = call_process(*where, path, folder=None, **ascii_only)
    assert outcome.returncode == 0, outcome.stderr
    if command != "doctor":
        assert "b\\xf6sartig, :smile: [red]" in outcome.stdout


def test_json_of_what_is_no_checkpoint(tmp_path: Path) -> None:
    assert "No such file" in refused("inspect", tmp_path / "m.pt", "--json")
