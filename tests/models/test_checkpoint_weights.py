"""Weights that make no network: each is an error that says why."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sigmoid_models.architecture import Architecture
from sigmoid_models.checkpoint import Checkpoint, load_checkpoint
from sigmoid_models.classifier import DeepClassifier, linear_layers
from tests.models.test_checkpoint import SIGMOID, changed, error_message, write

BAD_WEIGHTS: dict[str, tuple[dict[str, Tensor], str]] = {
    "nothing": ({}, "no weights of linear layers are in it: it holds nothing; save"),
    "bias without a weight": (changed(fc2__weight=None), "unknown tensors: fc2.bias"),
    "unknown tensors": (
        changed(zz=torch.ones(1), aa=torch.ones(1)),
        "unknown tensors: ",
    ),
    "gap in the layers": (
        {
            **DeepClassifier(4, 5, 3, 1).state_dict(),
            "layers.2.weight": torch.ones(5, 5),
            "layers.2.bias": torch.ones(5),
        },
        "the order of its layers is not known: fc1 (4 to 5), ",
    ),
    "not chained": (
        changed(fc2__weight=torch.ones(3, 6)),
        "its layers make no row: fc1 (4 to 5), fc2 (6 to 3); branches",
    ),
    "bias of another length": (
        changed(fc1__bias=torch.ones(6)),
        "fc1 has a weight of the shape [5, 4] and a bias of [6], where a linear",
    ),
    "weight of one dimension": (
        changed(fc1__weight=torch.ones(5)),
        "a LayerNorm or another norm without running statistics (fc1)",
    ),
    "weight of three dimensions": (
        changed(fc1__weight=torch.ones(5, 4, 1)),
        "it has a convolution (fc1), which is not served",
    ),
    "no features": (changed(fc1__weight=torch.ones(5, 0)), "[out, in]"),
    "no outputs": (
        changed(fc2__weight=torch.ones(0, 5), fc2__bias=torch.ones(0)),
        "[out, in]",
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
    "name of two lines": (
        changed(**{"x\ny": torch.ones(1)}),
        r"unknown tensors: x\ny; serve",
    ),
}


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_refused_weights(tmp_path: Path, case: str, suffix: str) -> None:
    state, expected = BAD_WEIGHTS[case]
    path = tmp_path / f"model{suffix}"
    write(path, state)
    assert expected in error_message(path)


def loaded(path: Path, state: dict[str, Tensor]) -> Checkpoint:
    write(path, state)
    return load_checkpoint(path, named=SIGMOID)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_missing_bias_is_zeros(tmp_path: Path, suffix: str) -> None:
    found = loaded(tmp_path / f"model{suffix}", changed(fc1__bias=None)).network
    assert torch.equal(found.get_parameter("fc1.bias"), torch.zeros(5))
    network = DeepClassifier(4, 5, 3, 0)
    for layer in linear_layers(network):
        layer.register_parameter("bias", None)
    found = loaded(tmp_path / f"model{suffix}", network.state_dict()).network
    x = torch.randn(6, 4)
    torch.testing.assert_close(found(x), network(x))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_one_layer_is_a_network(tmp_path: Path, suffix: str) -> None:
    state = {"weight": torch.ones(3, 4), "bias": torch.ones(3)}
    for prefix in ("", "0.", "linear."):
        named = {f"{prefix}{name}": each for name, each in state.items()}
        card = loaded(tmp_path / f"model{suffix}", named).card
        assert card.architecture == Architecture(kind="Sequential", sizes=(4, 3))
        assert card.activations == ()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_two_widths_are_no_deep_classifier(tmp_path: Path, suffix: str) -> None:
    network = DeepClassifier(4, 5, 3, 1)
    network.layers[0] = nn.Linear(5, 6)
    network.fc2 = nn.Linear(6, 3)
    found = loaded(tmp_path / f"model{suffix}", network.state_dict())
    assert found.card.architecture.shown == "Sequential [4, 5, 6, 3]"
    x = torch.randn(6, 4)
    with torch.no_grad():
        assert torch.equal(found.network(x), network(x))
