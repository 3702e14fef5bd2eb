"""A checkpoint file to be read, and what must become of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sigmoid_models.intake.named import NOTHING, Named

FUNCTIONS: Final[Mapping[str, Callable[[Tensor], Tensor]]] = {
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "leaky_relu": functional.leaky_relu,
    "leaky_relu:0.2": lambda x: functional.leaky_relu(x, 0.2),
    "tanh": torch.tanh,
    "elu": functional.elu,
    "selu": torch.selu,
    "gelu": functional.gelu,
    "gelu:tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
    "softplus": functional.softplus,
    "none": lambda x: x,
}
"""By the names under which they are served, as PyTorch's own programs call them."""


@dataclass(frozen=True, eq=False)
class Network:
    """The network that a file was made from, computed as its own program would.

    Attributes:
        layers: The linear layers, first to last.
        norms: What stands beside each hidden layer; none at all where there is none.
    """

    layers: tuple[nn.Linear, ...]
    norms: tuple[nn.BatchNorm1d, ...] = ()

    def logits(self, rows: Tensor, named: Named) -> Tensor:
        """Compute the logits of rows in float64.

        Args:
            rows: In float64.
            named: The functions, and whether BatchNorms stand behind them.
        """
        hidden = len(self.layers) - 1
        functions = named.activation or ("none",)
        functions = functions * hidden if len(functions) == 1 else functions
        for place, layer in enumerate(self.layers):
            bias = None if layer.bias is None else layer.bias.double()
            rows = functional.linear(rows, layer.weight.double(), bias)
            if place == hidden:
                break
            if self.norms and named.batchnorm != "after":
                rows = _normalised(rows, self.norms[place])
            rows = FUNCTIONS[functions[place]](rows)
            if self.norms and named.batchnorm == "after":
                rows = _normalised(rows, self.norms[place])
        return rows


class File(NamedTuple):
    """A checkpoint file.

    Attributes:
        kind: What it was made from, and what was done to it.
        suffix: Of its name.
        content: Its bytes.
        is_good: Whether it must load.
        is_sampled: Whether the engine gets it, where it loads.
        is_bad: Whether it must be refused.
        named: What is named of it.
        network: What it must compute, where it loads and that is known.
    """

    kind: str
    suffix: str
    content: bytes
    is_good: bool = True
    is_sampled: bool = True
    is_bad: bool = False
    named: Named = NOTHING
    network: Network | None = None

    def shown(self) -> str:
        """Describe it without its content."""
        said = f", with {self.named}" if self.named != NOTHING else ""
        return f"a {self.suffix} file of {len(self.content)} bytes{said}"


def _normalised(rows: Tensor, norm: nn.BatchNorm1d) -> Tensor:
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    return functional.batch_norm(
        rows,
        mean.double(),
        variance.double(),
        norm.weight.double(),
        norm.bias.double(),
        eps=norm.eps,
    )
