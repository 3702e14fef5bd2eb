"""What every part of the run is given."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmark.client import NPY, Request
from clustering.cluster import Cluster
from clustering.load import Record
from faulting.bodies import CLASSES, FEATURES, LONG_ROWS, network, predict, written
from faulting.findings import Finding
from faulting.load import Tally

MODEL: Final = "swapped"
_ROWS: Final = (1, LONG_ROWS)
_HIDDEN: Final = 50_000
MODEL_BYTES: Final = 4 * _HIDDEN * (FEATURES + CLASSES)


@dataclass(frozen=True)
class Scene:
    """Where and on what a part is run.

    Attributes:
        cluster: A running Ray; each part deploys what it needs.
        folder: For its files.
        replicas: How many there are where their number is fixed.
        kills: How many replicas are killed.
        updates: How many updates there are.
        show: Tells the user what is going on.
    """

    cluster: Cluster
    folder: Path
    replicas: int
    kills: int
    updates: int
    show: Callable[[str], None]


def model_folder(folder: Path, version: int) -> str:
    """Write a model with weights of its own; return its folder.

    Args:
        folder: Where its folder goes.
        version: Of it, 1 or more.
    """
    place = folder / str(version) / MODEL
    (place / str(version)).mkdir(parents=True)
    made = network(version, hidden=_HIDDEN)
    written(place / str(version) / "model.safetensors", made)
    return str(place)


def requests() -> list[Request]:
    """Ask the model about one row and many, as JSON and as `.npy`."""
    asked = [predict(MODEL, rows, rows) for rows in _ROWS]
    asked += [npy_request(f"/models/{MODEL}/predict", rows, FEATURES) for rows in _ROWS]
    return asked


def npy_request(path: str, *shape: int) -> Request:
    """Ask about an array of normal numbers as `.npy`, in and out."""
    file = io.BytesIO()
    np.save(file, np.random.default_rng(0).normal(size=shape).astype(np.float32))
    head = (("Content-Type", NPY), ("Accept", NPY))
    return Request("POST", path, file.getvalue(), head)


def finding(name: str, record: Record) -> Finding:
    """Show what became of the requests."""
    wrong = {"200 with another body": record.wrong, "never": record.unanswered}
    tally = Tally(record.asked, record.right.total(), record.refused)
    tally.wrong.update({text: count for text, count in wrong.items() if count})
    return Finding(name, tally)
