"""The two sigmoid networks, and any stack. All return logits, never probabilities."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from sigmoid_models.functions import function_of


class Classifier(nn.Module):
    """One hidden layer: `fc2(sigmoid(fc1(x)))`.

    Args:
        input_size: Number of features.
        hidden_size: Units of the hidden layer.
        num_classes: Number of logits.
    """

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(input_size, hidden_size)
        self.fc2 = nn.Linear(hidden_size, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map features `(..., input_size)` to logits `(..., num_classes)`."""
        hidden = torch.sigmoid(self.fc1(x))  # (..., hidden_size)
        logits: Tensor = self.fc2(hidden)  # (..., num_classes)
        return logits


class DeepClassifier(nn.Module):
    """`1 + num_layers` hidden layers, a sigmoid after each, none after `fc2`.

    Args:
        input_size: Number of features.
        hidden_size: Units of every hidden layer.
        num_classes: Number of logits.
        num_layers: Hidden layers after the first.
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_classes: int, num_layers: int
    ) -> None:
        super().__init__()
        self.fc1 = nn.Linear(input_size, hidden_size)
        self.layers = nn.ModuleList(
            nn.Linear(hidden_size, hidden_size) for _ in range(num_layers)
        )
        self.fc2 = nn.Linear(hidden_size, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map features `(..., input_size)` to logits `(..., num_classes)`."""
        hidden = torch.sigmoid(self.fc1(x))  # (..., hidden_size)
        for layer in self.layers:
            hidden = torch.sigmoid(layer(hidden))  # (..., hidden_size)
        logits: Tensor = self.fc2(hidden)  # (..., num_classes)
        return logits


def sequential(
    sizes: Sequence[int], activations: Sequence[str] | None = None
) -> nn.Sequential:
    """Build `Linear, function, …, Linear` of any widths, returning logits.

    Args:
        sizes: Features, then the units of each hidden layer, then the classes.
        activations: The function behind each hidden layer, as
            `sigmoid_models.activation` names it; by default the sigmoid.
    """
    names = ["sigmoid"] * (len(sizes) - 2) if activations is None else activations
    modules: list[nn.Module] = [nn.Linear(sizes[0], sizes[1])]
    for name, (inputs, outputs) in zip(names, pairwise(sizes[1:]), strict=True):
        modules += [function_of(name).module(), nn.Linear(inputs, outputs)]
    return nn.Sequential(*modules)


def linear_layers(network: nn.Module) -> list[nn.Linear]:
    """List the linear layers of one of the networks above, first to last."""
    return [module for module in network.modules() if isinstance(module, nn.Linear)]
