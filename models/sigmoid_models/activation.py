"""The functions that may stand between two linear layers, by name.

A name is the field's own: `relu`, `tanh`; with a parameter behind a colon where there
is one: `leaky_relu:0.2`, `gelu:tanh`. Nothing here needs PyTorch: the functions
themselves are in `sigmoid_models.functions`.
"""

import re
from typing import Final

NAMES: Final = (
    "sigmoid",
    "relu",
    "leaky_relu",
    "tanh",
    "elu",
    "selu",
    "gelu",
    "silu",
    "softplus",
    "none",
)
"""All of them; `none` is the identity."""

SLOPE: Final = 0.01
"""Of `leaky_relu` where none is named: PyTorch's default."""

_SAME: Final = {
    "leakyrelu": "leaky_relu",
    "logistic": "sigmoid",
    "swish": "silu",
    "identity": "none",
    "linear": "none",
}
_PLAIN: Final = re.compile(r"(?:[a-z_.]*\.)?([a-z][a-z_]*?)_?(?:\(\))?")
_LONGEST: Final = 64


class ActivationError(ValueError):
    """A name of no function, or a parameter that it does not have."""


def read_activation(text: str) -> str:
    """Read one name, as people write it: `ReLU`, `nn.ReLU()`, `leaky_relu:0.2`.

    Returns:
        The name as cards have it: one of `NAMES`, `leaky_relu:SLOPE` or `gelu:tanh`.

    Raises:
        ActivationError: There is no such function, or no such parameter of it.
    """
    plain, colon, parameter = text.strip().lower().partition(":")
    match = _PLAIN.fullmatch(plain) if len(text) <= _LONGEST else None
    name = _SAME.get(match[1], match[1]) if match else ""
    if name in NAMES and not colon:
        return name
    if name == "gelu" and parameter == "tanh":
        return "gelu:tanh"
    if name == "leaky_relu" and (slope := _slope(parameter)) is not None:
        return name if slope == SLOPE else f"{name}:{slope!r}"
    raise ActivationError(
        f"expected {', '.join(NAMES)}, leaky_relu:SLOPE or gelu:tanh, "
        f"got {text[:_LONGEST]!r}"
    )


def read_activations(text: str) -> tuple[str, ...]:
    """Read one name for all layers, or one per hidden layer with commas between.

    Raises:
        ActivationError: See `read_activation`.
    """
    return tuple(map(read_activation, text.split(",")))


def slope_of(activation: str) -> float:
    """Return the slope of a `leaky_relu` below 0."""
    _, _, parameter = activation.partition(":")
    return float(parameter) if parameter else SLOPE


def _slope(text: str) -> float | None:
    try:
        slope = float(text)
    except ValueError:
        return None
    return abs(slope) if 0 <= slope < 1 else None  # of -0, too
