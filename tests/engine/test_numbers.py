"""Right numbers with every function: within a proven bound, also beyond float32."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import Golden, ModelCard, Scaler, usual_task
from sigmoid_models.checkpoint import Checkpoint
from sigmoid_models.classifier import linear_layers, sequential
from sigmoid_models.dtype import Float64Array
from sigmoid_models.functions import function_of
from sigmoid_models.logits import reference_logits, standardise
from sigmoid_serve.engine.engine import Engine, RowError
from tests.engine.networks import DEVICES, make_checkpoint
from tests.models.test_functions import EVERY, float32_error

MIXED = tuple(reversed(EVERY))

# The steepest slope of each, where it is not 1.
STEEPEST = {
    "sigmoid": 0.25,
    "selu": 1.7581,
    "gelu": 1.1290,
    "gelu:tanh": 1.1291,
    "silu": 1.0999,
}


def error_bound(
    network: nn.Module, card: ModelCard, rows: Float64Array
) -> Float64Array:
    """Bound |float32 - reference| of each logit; see the test that uses it."""
    values = standardise(rows, card).astype(np.float32).astype(np.float64)
    bound = np.zeros_like(values)
    layers = linear_layers(network)
    for position, layer in enumerate(layers):
        weight = layer.weight.detach().numpy().astype(np.float64)
        bias = layer.bias.detach().numpy().astype(np.float64)
        terms = layer.in_features + 1
        share = terms * 2.0**-24 / (1 - terms * 2.0**-24)
        sums = (np.abs(values) + bound) @ np.abs(weight.T) + np.abs(bias)
        bound = bound @ np.abs(weight.T) + share * sums + terms * 2.0**-144
        values = values @ weight.T + bias
        if position < len(layers) - 1:
            name = card.activations[position]
            bound = STEEPEST.get(name, 1) * bound + float32_error(
                np.abs(values) + bound
            )
            values = function_of(name).reference(values)
    return bound


def random_checkpoint(
    sizes: Sequence[int], activation: str | Sequence[str], seed: int
) -> Checkpoint:
    """Weights of another spread in each layer, some of them 0, and a scaler."""
    generator = np.random.default_rng(seed)
    card = ModelCard(
        architecture=Architecture(kind="Sequential", sizes=tuple(sizes)),
        activation=activation,
        task=usual_task(sizes[-1]),
        scaler=Scaler(
            mean=tuple(generator.normal(size=sizes[0]).tolist()),
            scale=tuple(generator.uniform(0.1, 3, sizes[0]).tolist()),
        ),
    )
    network = sequential(sizes, card.activations)
    with torch.no_grad():
        for layer in linear_layers(network):
            spread = generator.uniform(0.3, 2.5) / layer.in_features**0.5
            weight = generator.normal(scale=spread, size=layer.weight.shape)
            weight[generator.uniform(size=weight.shape) < 0.1] = 0
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(generator.normal(size=len(weight))))
    return Checkpoint(network.requires_grad_(False), card, "0" * 64)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("activation", [*EVERY, MIXED], ids=str)
def test_random_networks_within_the_bound(
    activation: str | tuple[str, ...], device: str
) -> None:
    """Rounding alone: no logit is further from float64 than its sums explain.

    With u = 2^-24, a sum of n products in float32, in any order, fused or not, is off
    by at most nu / (1 - nu) times the sum of their sizes (Higham, Accuracy and
    Stability of Numerical Algorithms, 3.1); n is the inputs and the bias, and padding
    adds exact zeros. What comes in may be off by e already: that adds |W| e, and to the
    sizes as well. A function makes at most L times as much of an error, L its steepest
    slope, and adds an error of its own, `float32_error`, which `test_functions.py`
    checks. That includes PyTorch's step of 2e-9 where softplus becomes the identity.
    The smallest bound is for results below float32's normal numbers.
    """
    generator = np.random.default_rng(7)
    shares, sizes = [], []
    for seed in range(10):
        layers = len(activation) + 1 if isinstance(activation, tuple) else seed % 5 + 1
        widths = generator.integers(1, 120, size=layers + 1).tolist()
        checkpoint = random_checkpoint(widths, activation, seed)
        network, card = checkpoint.network, checkpoint.card
        rows = generator.normal(scale=3, size=(50, widths[0]))
        got = Engine(checkpoint, torch.device(device), 4096).logits(rows)
        want = reference_logits(network, card, rows)
        bound = error_bound(network, card, rows)
        assert (np.abs(got - want) <= bound).all()
        features = standardise(rows, card).astype(np.float32).astype(np.float64)
        theirs = sequential(widths, card.activations).double()
        theirs.load_state_dict(network.state_dict())
        with torch.no_grad():
            exact = theirs(torch.from_numpy(features)).numpy()
        # Softplus alone differs by more than float64's rounding, near its threshold.
        np.testing.assert_allclose(want, exact, rtol=1e-10, atol=1e-8)
        shares.append(np.max(np.abs(got - want) / bound) if layers > 1 else 0.0)
        sizes.append(np.max(np.abs(got - want) / max(1, np.abs(want).max())))
    print(
        f"{activation}: {max(shares):.3f} of the bound, {max(sizes):.1e} of the logits"
    )


@pytest.mark.parametrize("activation", EVERY)
def test_the_bound_tells_functions_apart(activation: str) -> None:
    """Or it would be too wide to show anything."""
    checkpoint = random_checkpoint((20, 40, 30, 5), activation, 0)
    rows = np.random.default_rng(0).normal(scale=3, size=(50, 20))
    got = Engine(checkpoint, torch.device("cpu"), 4096).logits(rows)
    bound = error_bound(checkpoint.network, checkpoint.card, rows)
    for other in EVERY:
        card = checkpoint.card.model_copy(update={"activation": other})
        want = reference_logits(checkpoint.network, card, rows)
        assert (np.abs(got - want) <= bound).all() == (other == activation)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("activation", [*EVERY, MIXED], ids=str)
def test_golden_rows(activation: str | tuple[str, ...], device: str) -> None:
    """They come out; and with another function between any two layers they do not."""
    layers = len(activation) if isinstance(activation, tuple) else 3
    checkpoint = random_checkpoint([9] * (layers + 1) + [4], activation, 3)
    network, card = checkpoint.network, checkpoint.card
    rows = np.random.default_rng(1).normal(size=(20, 9))
    golden = Golden(
        inputs=tuple(map(tuple, rows.tolist())),
        logits=tuple(map(tuple, reference_logits(network, card, rows).tolist())),
    )
    card = card.model_copy(update={"golden": golden})

    def fault(card: ModelCard) -> str | None:
        spoilt = Checkpoint(network, card, "0" * 64)
        return Engine(spoilt, torch.device(device), 4096).golden_fault()

    assert fault(card) is None
    names = card.activations
    other = "tanh" if names[0] != "tanh" else "relu"
    wrong = card.model_copy(update={"activation": (other, *names[1:])})
    assert "golden check failed" in (fault(wrong) or "")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("second", ["sigmoid", "tanh"])
@pytest.mark.parametrize("first", EVERY)
def test_infinity_between_layers(first: str, second: str, device: str) -> None:
    """A row is refused only where plain PyTorch has no logits either.

    Its signals leave float32 and come back, which the padding must not notice; other
    rows keep their bits.
    """
    sizes, names = (5, 7, 20, 16, 3), (first, second, first)
    checkpoint = make_checkpoint(sizes, names)
    network = checkpoint.network
    with torch.no_grad():
        for layer in linear_layers(network)[:2]:
            layer.weight.abs_()
        linear_layers(network)[0].weight *= 1e30
    engine = Engine(checkpoint, torch.device(device), 4096)
    rows = np.random.default_rng(0).normal(scale=1e-30, size=(70, 5))
    huge = rows.copy()
    huge[[3, 40, 69], 2] = 1e20
    plain = network.to(device)(torch.from_numpy(huge).float().to(device)).detach().cpu()
    if not plain.isfinite().all():
        assert first == "gelu"  # PyTorch's, on some processors
        with pytest.raises(RowError) as caught:
            engine.logits(huge)
        assert (caught.value.code, caught.value.index) == ("not_finite", (3,))
        return
    got = engine.logits(huge)
    np.testing.assert_allclose(got, plain, rtol=1e-4, atol=1e-5)
    assert (
        got.tobytes()
        == np.concatenate([engine.logits(r[None]) for r in huge]).tobytes()
    )
    usual = np.delete(np.arange(70), [3, 40, 69])
    assert got[usual].tobytes() == engine.logits(rows)[usual].tobytes()


def test_the_first_row_without_an_answer_is_named() -> None:
    """Also behind rows that were computed again, and got one."""
    checkpoint = make_checkpoint((1, 2, 2, 1), ("relu", "sigmoid"))
    first, second, _ = linear_layers(checkpoint.network)
    with torch.no_grad():
        for parameter in checkpoint.network.parameters():
            parameter.fill_(1)
        first.weight.copy_(torch.tensor([[1e30], [1e10]]))
        second.weight[:, 1] = -1
    engine = Engine(checkpoint, torch.device("cpu"), 4096)
    # Of 1e20 the first unit makes infinity; of 1e38 both do, and their difference is
    # not a number.
    rows = np.array([[1.0], [1e20], [-1e20], [1e38], [1e20], [1e38]])
    with pytest.raises(RowError) as caught:
        engine.logits(rows)
    assert (caught.value.code, caught.value.index) == ("not_finite", (3,))
    assert np.isfinite(engine.logits(rows[[0, 1, 2, 4]])).all()


@pytest.mark.parametrize("name", EVERY)
def test_biases_keep_their_digits(name: str) -> None:
    """They are divided by a power of two, and multiplied by it again."""
    checkpoint = make_checkpoint((3, 4, 5, 16), ("relu", name))
    exact = torch.tensor([0, 4e-37, 1e-30, 0.1, 1 / 3, 1e10, 3.4e38, 2**24 - 1])
    last = linear_layers(checkpoint.network)[-1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.cat([exact, -exact]))
        last.bias[8] = 1e-39
    got = Engine(checkpoint, torch.device("cpu"), 4096).logits(np.ones((3, 3)))
    want = last.bias.detach().numpy()
    rest = np.delete(np.arange(16), 8)
    assert (got[:, rest] == want[rest]).all()
    assert (np.abs(got[:, 8] - np.float32(1e-39)) < 3e-44).all()
