"""What depth leaves of a gradient, against PyTorch's own of the whole network."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sigmoid_models.architecture import Architecture, Kind
from sigmoid_models.card import Golden, ModelCard, Scaler, usual_task
from sigmoid_models.checkpoint import load_checkpoint
from sigmoid_models.classifier import linear_layers
from sigmoid_models.dtype import Float64Array
from sigmoid_models.functions import function_of
from sigmoid_models.gradients.depth import MOST_ROWS, layer_depths, rows_of
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.models.test_functions import EVERY


def made(
    sizes: tuple[int, ...],
    activation: str | tuple[str, ...] = "sigmoid",
    kind: Kind = "Sequential",
    scaler: Scaler | None = None,
) -> tuple[nn.Module, ModelCard]:
    torch.manual_seed(len(sizes))
    card = ModelCard(
        architecture=Architecture(kind=kind, sizes=sizes),
        activation=activation,
        task=usual_task(sizes[-1]),
        scaler=scaler,
    )
    network = card.architecture.build(card.activations)
    for layer in linear_layers(network):
        nn.init.normal_(layer.weight, std=0.7)
    return network, card


def drawn(rows: int, features: int) -> Float64Array:
    return np.random.default_rng(rows).normal(size=(rows, features))


def by_autograd(
    network: nn.Module, card: ModelCard, rows: Float64Array
) -> list[tuple[float, float, float]]:
    """Differentiate the whole network, one logit of one row at a time."""
    if card.scaler:
        rows = (rows - card.scaler.mean) / card.scaler.scale
    signals = torch.from_numpy(rows.astype(np.float32)).double()
    sums: list[Tensor] = []
    derivatives = []
    *hidden, last = linear_layers(network.double())
    for layer, name in zip(hidden, card.activations, strict=True):
        sums.append(layer(signals).requires_grad_())
        signals = function_of(name).module()(sums[-1])
        slopes = torch.autograd.grad(signals.sum(), sums[-1], retain_graph=True)
        derivatives.append(float(slopes[0].mean()))
    squares = torch.zeros(len(sums), len(rows), dtype=torch.float64)
    for logit in last(signals).sum(dim=0):
        found = torch.autograd.grad(logit, sums, retain_graph=True)
        squares += torch.stack([one.square().sum(dim=1) for one in found])
    network.float()
    return [
        (derivative, float(np.prod(derivatives[position:])), float(norm))
        for position, (derivative, norm) in enumerate(
            zip(derivatives, squares.sqrt().mean(dim=1), strict=True)
        )
    ]


def check(network: nn.Module, card: ModelCard, rows: Float64Array, taken: int) -> None:
    want = by_autograd(network, card, rows[:taken])
    got = layer_depths(network, card, rows)
    assert got is not None
    assert len(got) == len(card.activations)
    for mine, other in zip(got, want, strict=True):
        assert tuple(mine) == pytest.approx(other, rel=1e-10)


@pytest.mark.parametrize("name", EVERY)
def test_every_function(name: str) -> None:
    check(*made((4, 7, 5, 3), name), drawn(6, 4), 6)


def test_each_class_of_networks() -> None:
    scaler = Scaler(mean=(1, -1, 0), scale=(2, 0.5, 1))
    check(*made((3, 8, 1), kind="Classifier", scaler=scaler), drawn(1, 3), 1)
    check(*made((3, 6, 6, 6, 6, 4), kind="DeepClassifier"), drawn(9, 3), 9)
    mixed = ("relu", "none", "gelu:tanh", "softplus")
    check(*made((3, 5, 9, 2, 6, 4), mixed, scaler=scaler), drawn(5, 3), 5)


def test_of_many_rows_the_first_are_taken() -> None:
    check(*made((3, 8, 2)), drawn(40, 3), MOST_ROWS)
    # Of wide networks with many logits, fewer; and not all logits at once.
    check(*made((2, 512, 512, 100), "tanh"), drawn(16, 2), 10)
    check(*made((1, 64, 150), "tanh"), drawn(16, 1), 16)


def test_in_inference_mode() -> None:
    network, card = made((3, 8, 8, 2))
    want = layer_depths(network, card, drawn(4, 3))
    with torch.inference_mode():
        again, _ = made((3, 8, 8, 2))
        assert layer_depths(again, card, drawn(4, 3)) == want


def test_what_is_not_computed() -> None:
    for sizes in ((3, 2), (1024, 1023, 1), (2, 700, 700, 700)):
        assert layer_depths(*made(sizes), drawn(1, sizes[0])) is None


def test_what_is_not_finite() -> None:
    network, card = made((2, *[3] * 9, 2), "none")
    for layer in linear_layers(network):
        nn.init.constant_(layer.weight, 3e38)
    assert layer_depths(network, card, drawn(2, 2)) is None
    tiny = Scaler(mean=(0, 0), scale=(1e-300, 1e-300))
    assert layer_depths(*made((2, 3, 2), "gelu", scaler=tiny), drawn(2, 2)) is None


def test_the_rows_of_a_card() -> None:
    _, card = made((2, 3, 2))
    assert rows_of(card).tolist() == [[0, 0]]
    scaler = Scaler(mean=(5, 6), scale=(1, 2))
    assert rows_of(card.model_copy(update={"scaler": scaler})).tolist() == [[5, 6]]
    golden = Golden(inputs=((1, 2), (3, 4)), logits=((0, 0),) * 2)
    assert len(rows_of(card.model_copy(update={"golden": golden}))) == 2


def test_the_deep_model_that_is_shipped() -> None:
    loaded = load_checkpoint(PRETRAINED / "digits" / "1" / "model.safetensors")
    depths = layer_depths(loaded.network, loaded.card, rows_of(loaded.card))
    assert depths is not None
    assert len(depths) == 6
    # The sigmoids alone let next to nothing through; the weights make up for it.
    assert depths[0].product < 0.25**6
    assert depths[0].gradient > 0.1
