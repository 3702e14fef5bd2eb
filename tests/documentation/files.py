"""The files that pages speak of without making them."""

import csv
import gzip
from collections.abc import Callable, Iterable
from pathlib import Path
from shutil import copyfile, copytree

import torch
from torch import nn

from sigmoid_models.training.datasets import load_bundled
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.cli.test_cli import write_csv
from tests.cli.test_training import rare
from tests.documentation.pages import ROOT

_FEATURES = ("width", "height", "depth")
_MEAN, _SCALE = (1.5, 20.0, 0.1), (0.5, 4.0, 0.02)


def _write(path: Path, rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def _weights(folder: Path) -> None:
    """Save a network with ReLU, the scaler of its features, and what it gives."""
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
    torch.save(network.state_dict(), folder / "model.pt")
    (folder / "features.txt").write_text("\n".join(_FEATURES), encoding="utf-8")
    scaler = zip(_FEATURES, _MEAN, _SCALE, strict=True)
    _write(folder / "scaler.csv", [("feature", "mean", "scale"), *scaler])
    scaled = torch.randn(20, 3, dtype=torch.float64)
    with torch.no_grad():
        logits = network.double()(scaled).tolist()
    raw = (scaled.numpy() * _SCALE + _MEAN).tolist()
    rows = [[*row, *logit] for row, logit in zip(raw, logits, strict=True)]
    _write(folder / "rows.csv", [(*_FEATURES, "logit"), *rows])


def _flowers(folder: Path) -> None:
    """Write a table to train on, one of the same columns, and one with a rare class."""
    lines = write_csv(folder / "flowers.csv", "iris", target=True).read_text()
    text = lines.replace("kind", "species", 1)
    (folder / "flowers.csv").write_text(text, encoding="utf-8")
    (folder / "new_flowers.csv").write_text(text, encoding="utf-8")
    rare(folder / "rare.csv")


def _passengers(folder: Path) -> None:
    """Write a table with a column of names and one that is not always known."""
    people = [
        (n % 2, n % 3, f"Braund, Mr. Owen {n or ''}".strip(), n % 60, n % 7)
        for n in range(891)
    ]
    unknown = {5, *range(10, 186)}
    rows = [
        (*row[:3], "" if n in unknown else row[3], row[4])
        for n, row in enumerate(people)
    ]
    header = ("survived", "class", "name", "age", "siblings")
    _write(folder / "titanic.csv", [header, *rows])


def _tumours(folder: Path) -> None:
    """Write rows for the shipped model, in the forms in which tables come."""
    copyfile(
        PRETRAINED / "breast-cancer/1/model.safetensors", folder / "model.safetensors"
    )
    data = load_bundled("breast-cancer")
    rows = [[n, *row] for n, row in enumerate(data.rows[:20].tolist())]
    _write(folder / "rows.csv", [("id", *data.features), *rows])
    packed = gzip.compress((folder / "rows.csv").read_bytes())
    (folder / "rows.csv.gz").write_bytes(packed)


def _tensor(folder: Path) -> None:
    rows = load_bundled("breast-cancer").rows[:2]
    (folder / "rows.f32").write_bytes(rows.astype("<f4").tobytes())


def _clone(folder: Path) -> None:
    """Put what a checkout has where its reader is."""
    (folder / "scripts").symlink_to(ROOT / "scripts")
    copytree(PRETRAINED, folder / "models" / "sigmoid_models" / "pretrained")


FILES: dict[str, tuple[Callable[[Path], None], ...]] = {
    "README.md": (_clone,),
    "docs/checkpoints.md": (_weights,),
    "docs/predict.md": (_tumours,),
    "docs/protocols.md": (_tensor,),
    "docs/tables.md": (_passengers,),
    "docs/training.md": (_flowers,),
}
"""By page, what makes its files in a folder."""
