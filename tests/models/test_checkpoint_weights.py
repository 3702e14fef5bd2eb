"""Weights that make no network: each is an error that says why."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from sigmoid_models.classifier import DeepClassifier
from tests.models.test_checkpoint import changed, error_message, write

BAD_WEIGHTS: dict[str, tuple[dict[str, Tensor], str]] = {
    "nothing": ({}, "missing fc1.bias, fc1.weight, fc2.bias, fc2.weight"),
    "bias missing": (changed(fc1__bias=None), "missing fc1.bias"),
    "missing and unexpected": (
        changed(fc1__bias=None, fc2__weight=None, zz=torch.ones(1), aa=torch.ones(1)),
        "missing fc1.bias, fc2.weight; unexpected aa, zz",
    ),
    "gap in the layers": (
        {
            **DeepClassifier(4, 5, 3, 1).state_dict(),
            "layers.2.weight": torch.ones(5, 5),
            "layers.2.bias": torch.ones(5),
        },
        "not those of a DeepClassifier: missing layers.1.bias, layers.1.weight; "
        "unexpected layers.2.bias, layers.2.weight",
    ),
    "one layer": (
        {"0.weight": torch.ones(3, 4), "0.bias": torch.ones(3)},
        "not those of a Sequential: missing 2.bias, 2.weight",
    ),
    "not chained": (changed(fc2__weight=torch.ones(3, 6)), "the shapes do not chain"),
    "bias of another length": (
        changed(fc1__bias=torch.ones(6)),
        r"fc1.weight has the shape [5, 4] and fc1.bias [6]",
    ),
    "weight of one dimension": (changed(fc1__weight=torch.ones(5)), "[out, in]"),
    "weight of three dimensions": (changed(fc1__weight=torch.ones(5, 4, 1)), "[out"),
    "no features": (changed(fc1__weight=torch.ones(5, 0)), "[out, in]"),
    "no outputs": (
        changed(fc2__weight=torch.ones(0, 5), fc2__bias=torch.ones(0)),
        "[out, in]",
    ),
    "two widths": (
        {
            **DeepClassifier(4, 5, 3, 1).state_dict(),
            "layers.0.weight": torch.ones(6, 5),
            "layers.0.bias": torch.ones(6),
            "fc2.weight": torch.ones(3, 6),
        },
        "of one width, these [5, 6]",
    ),
    "NaN": (
        changed(fc1__bias=torch.full((5,), float("nan"))),
        "fc1.bias has NaN or infinite values",
    ),
    "infinity": (
        changed(fc1__bias=torch.full((5,), -float("inf"))),
        "fc1.bias has NaN or infinite values",
    ),
    "overflow": (
        changed(fc1__bias=torch.full((5,), 1e39, dtype=torch.float64)),
        "fc1.bias has NaN or infinite values",
    ),
    "integers": (
        changed(fc1__bias=torch.ones(5, dtype=torch.int64)),
        "fc1.bias is int64",
    ),
    "name of two lines": (changed(**{"x\ny": torch.ones(1)}), "unexpected"),
}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_refused_weights(tmp_path: Path, case: str, suffix: str) -> None:
    state, expected = BAD_WEIGHTS[case]
    path = tmp_path / f"model{suffix}"
    write(path, state)
    assert expected in error_message(path)
