"""The networks of the section, and the files that hold their weights."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmark.payloads import write_checkpoint
from sigmoid_models.classifier import DeepClassifier

_FLOAT32_BYTES = 4
_SEED = 0


class Shape(NamedTuple):
    """A `DeepClassifier`, by its sizes.

    Attributes:
        features: Of a row.
        hidden: Units of every hidden layer.
        outputs: Of a row.
        layers: Hidden layers after the first.
    """

    features: int
    hidden: int
    outputs: int
    layers: int

    @property
    def name(self) -> str:
        """Features, units × hidden layers, outputs."""
        return f"{self.features}-{self.hidden}×{self.layers + 1}-{self.outputs}"

    @property
    def multiplications(self) -> int:
        """Those of one row."""
        ends = self.hidden * (self.features + self.outputs)
        return ends + self.layers * self.hidden**2

    @property
    def weight_bytes(self) -> int:
        """What one batch reads at least: weights and biases in float32."""
        biases = (self.layers + 1) * self.hidden + self.outputs
        return _FLOAT32_BYTES * (self.multiplications + biases)

    def build(self) -> DeepClassifier:
        """Make the network, the same at each call."""
        torch.manual_seed(_SEED)
        return DeepClassifier(*self).eval()


LARGE = Shape(256, 1024, 10, 8)
NETWORKS = (
    Shape(30, 64, 1, 1),
    Shape(64, 256, 10, 4),
    LARGE,
    Shape(1024, 4096, 10, 4),
    Shape(1024, 1024, 10, 31),
)
# One that only a GPU answers in a time that one waits for.
GPU_NETWORKS = (*NETWORKS, Shape(1024, 4096, 10, 31))
ROWS = (1, 8, 32, 256, 1024, 4096)
GPU_ROWS = (*ROWS, 16384, 65536)


def write_weights(folder: Path, shape: Shape) -> Path:
    """Write a network as a checkpoint, and beside it as `.npz`, unless they are there.

    Returns:
        The path of the checkpoint.
    """
    path = folder / f"network-{'-'.join(map(str, shape))}.pt"
    if not path.exists():
        network = shape.build()
        weights = {name: value.numpy() for name, value in network.state_dict().items()}
        np.savez(path.with_suffix(".npz"), **weights)
        write_checkpoint(path, network)
    return path
