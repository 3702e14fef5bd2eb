"""`evaluate`: the report of a checkpoint on rows whose classes are known."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from sigmoid_models.card import ModelCard
from sigmoid_models.checkpoint import load_checkpoint, save_checkpoint
from sigmoid_models.classifier import Classifier
from sigmoid_models.training.datasets import load_bundled
from sigmoid_serve.engine.engine import Engine
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.cli.here import call, done, refused
from tests.cli.test_cli import call as call_process
from tests.cli.test_cli import write_csv

CANCER = PRETRAINED / "breast-cancer" / "1" / "model.safetensors"


@pytest.fixture
def cancer(tmp_path: Path) -> Path:
    return write_csv(tmp_path / "cancer.csv", "breast-cancer", target=True)


def documented(*arguments: str | Path) -> dict[str, object]:
    outcome = call("evaluate", *arguments, "--json")
    assert outcome.returncode == 0, outcome.stderr
    document: dict[str, object] = json.loads(outcome.stdout)
    return document


def write(path: Path, header: str, rows: Sequence[Sequence[object]]) -> Path:
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_figures_are_those_of_the_engine(cancer: Path) -> None:
    outcome = call_process("evaluate", CANCER, cancer, "--json")
    assert outcome.returncode == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    dataset = load_bundled("breast-cancer")
    engine = Engine(load_checkpoint(CANCER), torch.device("cpu"), 4096)
    labels = engine.predict(dataset.rows).labels
    right = labels == np.array(dataset.classes)[dataset.targets]
    found = document["evaluation"]
    assert isinstance(found, dict)
    assert found["rows"] == 569
    assert found["classes"] == ["malignant", "benign"]
    assert found["measures"]["accuracy"] == right.mean()
    assert found["undefined"] == {}
    assert np.array(found["confusion_matrix"]).trace() == right.sum()
    assert document["target"] == "kind"
    assert document["notes"] == ["the classes are those of the column 'kind'"]


def test_a_report_and_what_is_printed(cancer: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.html"
    shown = done("evaluate", CANCER, cancer, "--report", report, "--target", "kind")
    assert "On 569 rows of cancer.csv" in shown
    assert "balanced accuracy" in shown
    assert "malignant" in shown
    assert shown.endswith(f"wrote {report}\n")
    text = report.read_text(encoding="utf-8")
    assert text.count("<svg") == 3
    assert "Measured on 569 rows of cancer.csv" in text


def test_other_columns_in_another_order(cancer: Path, tmp_path: Path) -> None:
    lines = [line.split(",") for line in cancer.read_text().splitlines()]
    turned = [["note", *reversed(line)] for line in lines]
    data = write(tmp_path / "turned.csv", ",".join(turned[0]), turned[1:])
    expected = documented(CANCER, cancer)["evaluation"]
    assert documented(CANCER, data, "--target", "kind")["evaluation"] == expected
    message = refused("evaluate", CANCER, data)
    assert "which column names the class? say it by --target COLUMN" in message
    assert "'note', 'kind'" in message


def test_what_is_missing_is_named(cancer: Path, tmp_path: Path) -> None:
    lines = [line.split(",")[2:] for line in cancer.read_text().splitlines()]
    data = write(tmp_path / "less.csv", ",".join(lines[0]), lines[1:])
    message = refused("evaluate", CANCER, data)
    assert "mean radius" in message
    assert "mean texture" in message
    assert "there is no column 'sort'" in refused(
        "evaluate", CANCER, cancer, "--target", "sort"
    )


def test_rows_without_classes(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "bare.csv", "breast-cancer", target=False)
    assert "none names a class" in refused("evaluate", CANCER, data)


def test_a_class_that_is_not_known(cancer: Path) -> None:
    lines = cancer.read_text().splitlines()
    lines[3] = lines[3].replace("malignant", "unclear")
    cancer.write_text("\n".join(lines))
    message = refused("evaluate", CANCER, cancer)
    assert "unclear" in message
    assert "malignant" in message


def test_a_class_without_rows(cancer: Path) -> None:
    header, *lines = cancer.read_text().splitlines()
    kept = [line for line in lines if line.endswith("malignant")]
    cancer.write_text("\n".join([header, *kept]))
    outcome = call("evaluate", CANCER, cancer)
    assert outcome.returncode == 0, outcome.stderr
    assert "warning: all rows are of 'malignant'" in outcome.stdout
    assert "not defined: no row is of 'benign'" in outcome.stdout
    assert " nan" not in outcome.stdout.lower()
    assert outcome.stderr == "note: the classes are those of the column 'kind'\n"


def saved(path: Path, outputs: int, **card: object) -> Path:
    torch.manual_seed(0)
    network = Classifier(2, 4, outputs)
    fields = {
        "architecture": {"kind": "Classifier", "sizes": (2, 4, outputs)},
        "activation": "sigmoid",
        "task": "binary" if outputs == 1 else "multiclass",
        **card,
    }
    save_checkpoint(path, network, ModelCard.model_validate(fields))
    return path


def test_the_threshold_is_that_of_the_card(tmp_path: Path) -> None:
    rows = [(0.1 * i, -0.2 * i, "ab"[i % 2]) for i in range(20)]
    data = write(tmp_path / "d.csv", "x,y,k", rows)
    for threshold, given in ((0.0, [0, 20]), (1.0, [20, 0])):
        path = saved(
            tmp_path / "m.safetensors", 1, classes=("a", "b"), thresholds=(threshold,)
        )
        found = documented(path, data, "--target", "k")["evaluation"]
        assert isinstance(found, dict)
        assert [each["predicted"] for each in found["per_class"]] == given


@pytest.mark.parametrize(
    ("labels", "classes"),
    [("012", ["0", "1", "2"]), ("02", ["0", "1", "2"]), ("cab", ["a", "b", "c"])],
)
def test_a_file_without_names(tmp_path: Path, labels: str, classes: list[str]) -> None:
    torch.manual_seed(0)
    path = tmp_path / "bare.pt"
    torch.save(Classifier(2, 4, 3).state_dict(), path)
    rows = [(i, -i, labels[i % len(labels)]) for i in range(30)]
    data = write(tmp_path / "d.csv", "x,y,k", rows)
    options = ("--activation", "sigmoid", "--target", "k")
    document = documented(path, data, *options)
    assert isinstance(document["evaluation"], dict)
    assert document["evaluation"]["classes"] == classes
    assert "the checkpoint names no classes" in str(document["notes"])


def test_a_file_without_names_and_other_classes(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors", 3)
    rows = [(i, -i, "abcd"[i % 4]) for i in range(30)]
    data = write(tmp_path / "d.csv", "x,y,k", rows)
    assert "no feature of the model is named, there are 'x', 'y', 'k'" in refused(
        "evaluate", path, data
    )
    message = refused("evaluate", path, data, "--target", "k")
    assert "has 3 classes without names, and 'k' holds 4 different labels" in message


def test_models_that_give_several_classes(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.safetensors", 2, task="multilabel", classes=("a", "b"))
    data = write(tmp_path / "d.csv", "x,y,k", [(1, 2, "a")])
    assert "the task is multilabel" in refused("evaluate", path, data)
