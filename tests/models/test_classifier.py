"""The networks compute what their docstrings say."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sigmoid_models.architecture import Architecture
from sigmoid_models.checkpoint import load_checkpoint
from sigmoid_models.classifier import (
    Classifier,
    DeepClassifier,
    linear_layers,
    sequential,
)
from sigmoid_models.intake.named import Named

SIGMOID = Named(activation=("sigmoid",))


def by_hand(layers: Sequence[nn.Linear], x: Tensor) -> Tensor:
    for position, layer in enumerate(layers):
        if position:
            x = 1 / (1 + torch.exp(-x))
        x = x @ layer.weight.T + layer.bias
    return x


def test_classifier_is_the_formula() -> None:
    network = Classifier(5, 7, 3).double()
    x = torch.randn(11, 5, dtype=torch.float64)
    expected = by_hand([network.fc1, network.fc2], x)
    torch.testing.assert_close(network(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_deep_classifier_is_the_formula(depth: int) -> None:
    network = DeepClassifier(5, 7, 3, depth).double()
    layers = linear_layers(network)
    assert len(layers) == depth + 2
    x = torch.randn(11, 5, dtype=torch.float64)
    expected = by_hand(layers, x)
    torch.testing.assert_close(network(x), expected, rtol=1e-12, atol=1e-12)


def test_sequential_is_the_formula() -> None:
    network = sequential((4, 9, 3, 2)).double()
    x = torch.randn(6, 4, dtype=torch.float64)
    expected = by_hand(linear_layers(network), x)
    torch.testing.assert_close(network(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3), (2, 0, 3), (2, 3, 4, 5)])
def test_any_leading_shape(shape: tuple[int, ...]) -> None:
    for network in (Classifier(5, 7, 3), DeepClassifier(5, 7, 3, 2)):
        assert network(torch.randn(*shape, 5)).shape == (*shape, 3)


def test_state_dict_names() -> None:
    parts = ("weight", "bias")
    assert list(Classifier(2, 3, 1).state_dict()) == [
        f"{layer}.{part}" for layer in ("fc1", "fc2") for part in parts
    ]
    assert list(DeepClassifier(2, 3, 1, 2).state_dict()) == [
        f"{layer}.{part}"
        for layer in ("fc1", "layers.0", "layers.1", "fc2")
        for part in parts
    ]
    assert list(sequential((2, 3, 1)).state_dict()) == [
        f"{layer}.{part}" for layer in ("0", "2") for part in parts
    ]


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(kind="Classifier", sizes=(4, 8, 1)),
        Architecture(kind="DeepClassifier", sizes=(4, 8, 8, 3)),
        Architecture(kind="DeepClassifier", sizes=(4, *[8] * 12, 3)),
        Architecture(kind="Sequential", sizes=(4, 2)),
        Architecture(kind="Sequential", sizes=(4, 9, 2)),
        Architecture(kind="Sequential", sizes=(4, 9, 5, 7, 2)),
    ],
)
def test_architecture_is_found_in_what_it_builds(
    architecture: Architecture, tmp_path: Path
) -> None:
    network = architecture.build()
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    assert architecture.shapes == shapes
    assert list(architecture.shapes) == list(shapes)
    torch.save(network.state_dict(), tmp_path / "model.pt")
    found = load_checkpoint(tmp_path / "model.pt", named=SIGMOID).card
    assert found.architecture == architecture
    assert found.layers == (*architecture.layers,)
    assert architecture.parameters == sum(p.numel() for p in network.parameters())
    assert (architecture.features, architecture.outputs) == (
        architecture.sizes[0],
        architecture.sizes[-1],
    )
