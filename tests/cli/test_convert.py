"""`convert`, from a user's own files to the answers of a server."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from torch import nn

from sigmoid_models.checkpoint import load_checkpoint
from sigmoid_models.classifier import Classifier, sequential
from sigmoid_models.dtype import Float64Array
from sigmoid_models.training.datasets import Dataset, load_bundled
from sigmoid_serve.configuration.settings import Settings
from tests.cli.here import done, refused
from tests.cli.test_cli import call as call_process
from tests.conftest import serve
from tests.running import until_ready


class Pipeline(NamedTuple):
    """What a user has: files, and the answers of their own program."""

    source: Path
    scaler: Path
    features: Path
    expected: Path
    probabilities: Float64Array
    dataset: Dataset

    @property
    def accuracy(self) -> float:
        return float(np.mean((self.probabilities >= 0.5) == self.dataset.targets))


def fitted(folder: Path, network: nn.Module) -> Pipeline:
    """Train a network outside of the service, on rows scaled by scikit-learn."""
    dataset = load_bundled("breast-cancer")
    scaler = StandardScaler().fit(dataset.rows)
    rows = torch.tensor(scaler.transform(dataset.rows), dtype=torch.float32)
    targets = torch.tensor(dataset.targets, dtype=torch.float32)[:, None]
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(60):
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits(network(rows), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        likely = network(rows).sigmoid()[:, 0].double().numpy()
    torch.save(network.state_dict(), folder / "model.pt")
    (folder / "names.txt").write_text("\n".join(dataset.features) + "\n")
    order = list(reversed(range(30)))
    with (folder / "scaler.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["feature", "mean", "scale"])
        for i in order:
            writer.writerow([dataset.features[i], scaler.mean_[i], scaler.scale_[i]])
    with (folder / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["probability", *(dataset.features[i] for i in order)])
        for p, row in zip(likely.tolist(), dataset.rows.tolist(), strict=True):
            writer.writerow([p, *(row[i] for i in order)])
    return Pipeline(
        folder / "model.pt",
        folder / "scaler.csv",
        folder / "names.txt",
        folder / "rows.csv",
        likely,
        dataset,
    )


@pytest.mark.parametrize(
    ("activation", "make"),
    [
        ("relu", lambda: sequential([30, 16, 1], ["relu"])),
        ("sigmoid", lambda: Classifier(30, 16, 1)),
    ],
)
def test_a_pipeline_of_a_user_is_served(
    tmp_path: Path, activation: str, make: Callable[[], nn.Module]
) -> None:
    torch.manual_seed(0)
    mine = fitted(tmp_path, make())
    assert mine.accuracy > 0.95
    output = tmp_path / "model.safetensors"
    shown = done(
        *("convert", mine.source, "-o", output, "--activation", activation),
        *("--features", f"@{mine.features}", "--scaler", mine.scaler),
        *("--classes", "benign,malignant", "--positive", "benign"),
        *("--expect", mine.expected),
    )
    assert f"{activation} (named by the user)" in shown
    assert "standardises raw features" in shown
    assert "malignant, benign; the output is the probability of benign" in shown
    assert f"wrote {output}" in shown

    rows, targets = mine.dataset.rows.tolist(), mine.dataset.targets
    names = np.array(["malignant", "benign"])
    with serve(Settings(), [output]) as client:
        until_ready(client)
        answer = client.post("/predict", json={"inputs": rows})
    assert answer.status_code == 200, answer.text
    likely = np.array(answer.json()["probabilities"])[:, 0]
    np.testing.assert_allclose(likely, mine.probabilities, rtol=0, atol=1e-5)
    accuracy = np.mean(np.array(answer.json()["labels"]) == names[targets])
    assert accuracy == mine.accuracy
    assert "64 come out right" in done("inspect", output)


def test_rows_say_what_is_missing(tmp_path: Path) -> None:
    torch.manual_seed(0)
    mine = fitted(tmp_path, sequential([30, 16, 1], ["relu"]))
    output = tmp_path / "model.safetensors"
    options = ("convert", mine.source, "-o", output, "--features", f"@{mine.features}")
    scaled = (*options, "--scaler", mine.scaler, "--expect", mine.expected)
    assert refused(*scaled, "--activation", "sigmoid").endswith(
        "; they would with --activation relu\n"
    )
    assert refused(*scaled).endswith("name it, --activation relu\n")
    raw = refused(*options, "--expect", mine.expected, "--activation", "relu")
    assert "likely causes: a scaler that is missing" in raw
    assert not output.exists()


def bare(folder: Path) -> Path:
    path = folder / "model.pt"
    torch.save(sequential([2, 3, 2], ["tanh"]).state_dict(), path)
    return path


def test_options_of_more_than_one_value(tmp_path: Path) -> None:
    source, output = bare(tmp_path), tmp_path / "out" / "m.safetensors"
    (tmp_path / "scaler.json").write_text(json.dumps({"mean": [1, 2], "scale": [0, 2]}))
    shown = done(
        *("convert", source, "--output", output, "--activation", "nn.Tanh"),
        *("--features", 'width, "height, in cm"', "--classes", "a,b"),
        *("--task", "multilabel", "--threshold", "0.2,0.3"),
        *("--scaler", tmp_path / "scaler.json"),
    )
    assert "note: of width the scale was 0 and is 1" in shown
    card = load_checkpoint(output).card
    assert card.activation == "tanh"
    assert card.features == ("width", "height, in cm")
    assert card.classes == ("a", "b")
    assert card.thresholds == (0.2, 0.3)
    assert card.task == "multilabel"
    assert card.scaler
    assert card.scaler.scale == (1, 2)


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ("-o model.safetensor --activation tanh", "must end in .safetensors"),
        ("-o m.safetensors", "activation"),
        ("-o m.safetensors --activation tanh --task binary", "the task is binary"),
    ],
)
def test_refused(tmp_path: Path, options: str, finding: str) -> None:
    source = bare(tmp_path)
    words = options.replace("-o ", f"-o {tmp_path}/").split(" ")
    assert finding in refused("convert", source, *words)
    assert list(tmp_path.iterdir()) == [source]


def test_what_cannot_be_meant(tmp_path: Path) -> None:
    outcome = call_process(
        "convert", bare(tmp_path), "-o", "m.safetensors", "--activation=tan"
    )
    assert outcome.returncode == 2
    assert "--activation: expected sigmoid, relu" in outcome.stderr


def test_the_source_is_not_overwritten(tmp_path: Path) -> None:
    source, output = bare(tmp_path), tmp_path / "m.safetensors"
    done("convert", source, "-o", output, "--activation", "tanh")
    before = output.read_bytes()
    (tmp_path / "link.safetensors").symlink_to(output)
    for path in (output, tmp_path / "link.safetensors"):
        assert "is the file to convert" in refused("convert", output, "-o", path)
    assert output.read_bytes() == before
    done("convert", output, "-o", tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == before
