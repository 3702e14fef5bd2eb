"""Which network a set of parameter names and shapes belongs to."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import nn

from sigmoid_models.classifier import Classifier, DeepClassifier, sequential

MAX_LAYERS: Final = 1024

_LISTED: Final = 100
_SIZES_LISTED: Final = 16

# How the service lays out what it computes: see sigmoid_serve.engine.engine.
_BLOCK_UNITS: Final = 16
_BLOCK_ROWS: Final = 32


class ArchitectureError(ValueError):
    """Names or shapes are not those of a sigmoid network; the message says which."""


class Architecture(BaseModel):
    """A network's class and its widths.

    Attributes:
        kind: The class; `Sequential` is `Linear, function, …, Linear`.
        sizes: Features, then the units of each hidden layer, then the logits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["Classifier", "DeepClassifier", "Sequential"]
    sizes: Annotated[tuple[PositiveInt, ...], Field(min_length=2, fail_fast=True)]

    @property
    def features(self) -> int:
        """Length of the last dimension of the input."""
        return self.sizes[0]

    @property
    def outputs(self) -> int:
        """Number of logits per row."""
        return self.sizes[-1]

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        return sum((inputs + 1) * outputs for inputs, outputs in pairwise(self.sizes))

    @property
    def footprint(self) -> int:
        """Bytes that the layers and the smallest batch take where it is served."""
        widths = [-(-(size + 1) // _BLOCK_UNITS) * _BLOCK_UNITS for size in self.sizes]
        layers = sum(inputs * outputs for inputs, outputs in pairwise(widths))
        return 4 * (layers + _BLOCK_ROWS * (widths[0] + 2 * max(widths[1:])))

    @property
    def shown(self) -> str:
        """The class and the sizes, for messages."""
        return f"{self.kind} {listed_sizes(self.sizes)}"

    def build(self, activations: Sequence[str] | None = None) -> nn.Module:
        """Make the network, its parameters at PyTorch's defaults.

        Args:
            activations: See `sigmoid_models.classifier.sequential`; the other two
                classes have the sigmoid.
        """
        if self.kind == "Sequential":
            return sequential(self.sizes, activations)
        features, hidden, *_, outputs = self.sizes
        if self.kind == "Classifier":
            return Classifier(features, hidden, outputs)
        return DeepClassifier(features, hidden, outputs, len(self.sizes) - 3)


def infer_architecture(shapes: Mapping[str, Sequence[int]]) -> Architecture:
    """Find the network whose `state_dict` has these names and shapes.

    Args:
        shapes: Shape of each tensor by its name.

    Raises:
        ArchitectureError: Missing or unexpected names (all of them named, up to a
            bound), or shapes that do not chain from one layer to the next.
    """
    kind, layers = _layers(shapes)
    if len(layers) > MAX_LAYERS:
        raise ArchitectureError(f"it has {len(layers)} layers, more than {MAX_LAYERS}")
    expected = {f"{layer}.{part}" for layer in layers for part in ("weight", "bias")}
    missing, unexpected = expected - shapes.keys(), shapes.keys() - expected
    if missing or unexpected:
        errors = [
            f"{what} {_listed(names)}"
            for what, names in (("missing", missing), ("unexpected", unexpected))
            if names
        ]
        raise ArchitectureError(
            f"its tensors are not those of a {kind}: {'; '.join(errors)}"
        )
    return Architecture(kind=kind, sizes=_chained_sizes(layers, shapes, kind))


def _layers(
    names: Iterable[str],
) -> tuple[Literal["Classifier", "DeepClassifier", "Sequential"], list[str]]:
    """Guess the class, and its layers from first to last, from the names."""
    names = list(names)
    numbered = {match[1] for name in names if (match := re.match(r"(\d+)\.", name))}
    if numbered and len(numbered) == len({name.partition(".")[0] for name in names}):
        return "Sequential", [str(2 * index) for index in range(max(2, len(numbered)))]
    inner = {
        match[1] for name in names if (match := re.match(r"layers\.(\d+)\.", name))
    }
    if inner:
        middle = [f"layers.{index}" for index in range(len(inner))]
        return "DeepClassifier", ["fc1", *middle, "fc2"]
    return "Classifier", ["fc1", "fc2"]


def _chained_sizes(
    layers: Sequence[str], shapes: Mapping[str, Sequence[int]], kind: str
) -> tuple[int, ...]:
    sizes: list[int] = []
    for layer in layers:
        weight, bias = tuple(shapes[f"{layer}.weight"]), tuple(shapes[f"{layer}.bias"])
        if len(weight) != 2 or 0 in weight or bias != weight[:1]:
            raise ArchitectureError(
                f"{layer}.weight has the shape {listed_sizes(weight)} and {layer}.bias "
                f"{listed_sizes(bias)}, where a linear layer has [out, in] and [out]"
            )
        if sizes and sizes[-1] != weight[1]:
            raise ArchitectureError(
                f"the shapes do not chain: {layer}.weight takes {weight[1]} inputs, "
                f"the layer before it gives {sizes[-1]}"
            )
        sizes = sizes or [weight[1]]
        sizes.append(weight[0])
    if kind == "DeepClassifier" and len(set(sizes[1:-1])) > 1:
        raise ArchitectureError(
            "the hidden layers of a DeepClassifier are of one width, "
            f"these {listed_sizes(sizes[1:-1])}"
        )
    return tuple(sizes)


def listed_sizes(sizes: Sequence[int]) -> str:
    """Write sizes as a list; of very many, only the first."""
    shown = ", ".join(map(str, sizes[:_SIZES_LISTED]))
    return f"[{shown}{', …' if len(sizes) > _SIZES_LISTED else ''}]"


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - _LISTED
    shown = ", ".join(name[:64] for name in ordered[:_LISTED])
    return f"{shown} and {more} more" if more > 0 else shown
