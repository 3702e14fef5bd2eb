"""docs/checkpoints.md is true: all options and fields, and the file that it writes."""

import re
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch

from sigmoid_models.activation import NAMES
from sigmoid_models.card import ModelCard
from sigmoid_serve.cli.conversion import convert
from sigmoid_serve.configuration.settings import Settings
from tests.conftest import serve

DOCUMENT = Path(__file__).parents[2] / "docs" / "checkpoints.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")


def first_cells(heading: str) -> list[str]:
    """List the first word of each row of the table below a heading."""
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(?:--)?(\w+)[^|]*\|", section, re.MULTILINE)


def test_every_function_is_listed() -> None:
    assert tuple(first_cells("Which networks")) == NAMES


def test_every_option_is_listed() -> None:
    options = signature(convert).parameters.keys() - {"source"}
    assert set(first_cells("What must be named")) == options


def test_every_field_is_listed() -> None:
    assert set(first_cells("The card, format 2")) == ModelCard.model_fields.keys()


def test_links_within() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
    assert {*re.findall(r"\]\(#([^)]+)\)", TEXT)} <= anchors


def test_the_file_that_it_writes_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [code] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(re.findall(r"^\w.*$", code, re.MULTILINE)) <= 10
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(code, found)
    rows = [[1.5, 20.0], [1.0, 30.5], [-4.0, 11.0]]
    mean, scale = (torch.tensor(found["card"]["scaler"][n]) for n in ("mean", "scale"))
    with torch.no_grad():
        likely = found["network"]((torch.tensor(rows) - mean) / scale).sigmoid()
    with serve(Settings(), [tmp_path / "model.safetensors"]) as client:
        while client.get("/readyz").status_code == 503:
            pass
        answer = client.post("/predict", json={"inputs": rows}).json()
        card = client.get("/models/model").json()
    for got, want in zip(answer["probabilities"], likely.tolist(), strict=True):
        assert got == pytest.approx(want, abs=1e-6)
    assert answer["labels"] == [("no", "yes")[p >= 0.5] for [p] in likely.tolist()]
    assert card["activation"] == "relu"
    assert card["activation_source"] == "card"
