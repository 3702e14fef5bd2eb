"""The functions between layers: their names, and what each makes of a number."""

import math

import numpy as np
import pytest
import torch

from sigmoid_models.activation import (
    NAMES,
    ActivationError,
    read_activation,
    read_activations,
    slope_of,
)
from sigmoid_models.dtype import Float64Array
from sigmoid_models.functions import function_of

EVERY = (*NAMES, "leaky_relu:0.2", "gelu:tanh")

EXTREMES = [0.0, 1e-45, 1e-39, 1.2e-38, 20.0, 20.000002, 88.0, 104.0, 1e30, 1e38]

# PyTorch's gelu is the least exact on x86-64, 5.9; no other is beyond 2.1.
ROUNDINGS = 8


def float32_error(x: Float64Array) -> Float64Array:
    """The most by which any of the functions may be off in float32.

    A few roundings, of a number that is no larger than the argument or than 2.
    """
    error: Float64Array = ROUNDINGS * 2.0**-24 * np.maximum(1, np.abs(x))
    return error


def some_values() -> torch.Tensor:
    """Near 0, where the functions bend, far away, and at the ends of float32."""
    generator = np.random.default_rng(0)
    small = np.logspace(-45, 2, 50_000)
    values = np.concatenate(
        [
            generator.normal(scale=4, size=100_000),
            np.linspace(-110, 110, 100_001),
            small,
            -small,
            EXTREMES,
            np.negative(EXTREMES),
        ]
    )
    return torch.from_numpy(values).float()


@pytest.mark.parametrize("name", EVERY)
def test_in_place_against_float64(name: str) -> None:
    function, values = function_of(name), some_values()
    exact = values.double().numpy()
    want = function.reference(exact)
    function.in_place(values)
    got = values.double().numpy()
    assert np.isfinite(got).all()
    error = np.abs(got - want)
    worst = int(np.argmax(error / float32_error(exact)))
    units = ROUNDINGS * error[worst] / float32_error(exact)[worst]
    print(f"{name}: at worst {units:.2f} x 2^-24 x max(1, |x|), at {exact[worst]:.4g}")
    assert (error <= float32_error(exact)).all()


@pytest.mark.parametrize("name", EVERY)
def test_the_module_is_the_same_function(name: str) -> None:
    """PyTorch's own, in float64 as the reference is; also in float32."""
    function, values = function_of(name), some_values()
    exact = values.double()
    want = function.reference(exact.numpy())
    got = function.module()(exact).numpy()
    assert (np.abs(got - want) <= 2.0**-50 * np.maximum(1, np.abs(exact.numpy()))).all()
    expected = function.module()(values.clone())
    function.in_place(values)
    torch.testing.assert_close(values, expected, rtol=1e-6, atol=2e-7)


def test_the_reference_has_the_tails_too() -> None:
    """Where one minus nearly one would leave no digits; softplus as PyTorch has it."""
    x = np.array([-10.0])
    normal = 7.619853024160527e-24  # the distribution's share below -10
    assert function_of("gelu").reference(x)[0] == pytest.approx(-10 * normal, rel=1e-13)
    share = math.exp(-10) / (1 + math.exp(-10))
    assert function_of("sigmoid").reference(x)[0] == pytest.approx(share, rel=1e-15)
    assert function_of("silu").reference(x)[0] == pytest.approx(-10 * share, rel=1e-15)
    log = math.log1p(math.exp(-10))
    assert function_of("softplus").reference(x)[0] == pytest.approx(log, rel=1e-15)
    softplus = function_of("softplus").reference
    assert softplus(np.array([20.0]))[0] == math.log1p(math.exp(20))
    assert softplus(np.array([20.5]))[0] == 20.5


@pytest.mark.parametrize("name", EVERY)
def test_a_bad_number_stays_one(name: str) -> None:
    """At every place of a vector, or a spoilt row might pass for a good one."""
    values = torch.eye(48)
    values[values == 1] = math.nan
    function_of(name).in_place(values)
    assert torch.equal(values.isnan(), torch.eye(48).bool())


@pytest.mark.parametrize("length", [1, 7, 16, 32, 48, 112, 512, 1040])
@pytest.mark.parametrize("name", EVERY)
def test_fixed_numbers_are_exact_everywhere(name: str, length: int) -> None:
    """At every place, whatever stands beside it."""
    function = function_of(name)
    before, after = function.fixed
    assert math.frexp(after)[0] == 0.5
    assert 1 <= after <= 32
    torch.manual_seed(length)
    values = torch.randn(length, length) * 9
    values.diagonal().fill_(before)
    function.in_place(values)
    assert (values.diagonal() == after).all()
    for size in range(1, 20):
        alone = torch.full((size,), before)
        function.in_place(alone)
        assert (alone == after).all()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *((name, name) for name in EVERY),
        ("ReLU", "relu"),
        (" nn.ReLU() ", "relu"),
        ("relu_", "relu"),
        ("torch.nn.functional.leaky_relu_", "leaky_relu"),
        ("torch.nn.LeakyReLU()", "leaky_relu"),
        ("LeakyReLU:.2", "leaky_relu:0.2"),
        ("leaky_relu:0.01", "leaky_relu"),
        ("leaky_relu:0", "leaky_relu:0.0"),
        ("leaky_relu:-0", "leaky_relu:0.0"),
        ("leaky_relu:1e-3", "leaky_relu:0.001"),
        ("GELU:tanh", "gelu:tanh"),
        ("F.gelu", "gelu"),
        ("Swish", "silu"),
        ("SiLU", "silu"),
        ("Logistic", "sigmoid"),
        ("torch.sigmoid", "sigmoid"),
        ("Identity()", "none"),
        ("linear", "none"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert read_activation(text) == name
    assert read_activation(name) == name
    function_of(name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "relu6",
        "prelu",
        "softmax",
        "linear_relu_stack",
        "relu1",
        "relu:1",
        "sigmoid:",
        "gelu:",
        "gelu:none",
        "leaky_relu:",
        "leaky_relu:x",
        "leaky_relu:1",
        "leaky_relu:-0.1",
        "leaky_relu:nan",
        "leaky_relu:inf",
        "leaky_relu:0.2:0.2",
        "LeakyReLU(0.2)",
        "relu tanh",
        "relu,tanh",
        "nn." * 100_000 + "relu",
        "_" * 100_000,
    ],
    ids=lambda text: text[:20],
)
def test_refused_names(text: str) -> None:
    with pytest.raises(ActivationError) as caught:
        read_activation(text)
    message = str(caught.value)
    assert all(name in message for name in (*NAMES, "leaky_relu:SLOPE", "gelu:tanh"))
    assert message.endswith(f"got {text[:64]!r}")


def test_one_name_per_layer() -> None:
    assert read_activations("tanh") == ("tanh",)
    assert read_activations("ReLU, leaky_relu:0.2,none") == (
        "relu",
        "leaky_relu:0.2",
        "none",
    )
    for text in ("relu,", ",", "relu,,tanh", "relu,relu6"):
        with pytest.raises(ActivationError):
            read_activations(text)


def test_slopes() -> None:
    assert slope_of("leaky_relu") == 0.01
    assert slope_of("leaky_relu:0.2") == 0.2
