"""The networks that are served: their class and widths, the names of their layers."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import nn

from sigmoid_models.classifier import Classifier, DeepClassifier, sequential

Kind = Literal["Classifier", "DeepClassifier", "Sequential"]

MAX_LAYERS: Final = 1024
"""The most layers that a network may have."""

_SIZES_LISTED: Final = 16

# How the service lays out what it computes: see sigmoid_serve.engine.engine.
_BLOCK_UNITS: Final = 16
_BLOCK_ROWS: Final = 32


class Architecture(BaseModel):
    """A network's class and its widths.

    Attributes:
        kind: The class; `Sequential` is `Linear, function, …, Linear`.
        sizes: Features, then the units of each hidden layer, then the logits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    sizes: Annotated[
        tuple[PositiveInt, ...],
        Field(min_length=2, max_length=MAX_LAYERS + 1, fail_fast=True),
    ]

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

    @property
    def layers(self) -> list[str]:
        """The names of the layers, first to last."""
        count = len(self.sizes) - 1
        if self.kind == "Sequential":
            return [str(2 * index) for index in range(count)]
        return ["fc1", *(f"layers.{index}" for index in range(count - 2)), "fc2"]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor, by its name."""
        found: dict[str, tuple[int, ...]] = {}
        for name, (inputs, outputs) in zip(
            self.layers, pairwise(self.sizes), strict=True
        ):
            found[f"{name}.weight"] = (outputs, inputs)
            found[f"{name}.bias"] = (outputs,)
        return found

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


def listed_sizes(sizes: Sequence[int]) -> str:
    """Write sizes as a list; of very many, only the first."""
    shown = ", ".join(map(str, sizes[:_SIZES_LISTED]))
    return f"[{shown}{', …' if len(sizes) > _SIZES_LISTED else ''}]"
