"""Networks as people write them: the names of their layers, and their own forward."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

SIZES = (5, 7, 6, 3)
FUNCTIONS: dict[str, Callable[[], nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "none": nn.Identity,
}


class Chain(nn.Module):
    """Linear layers under given names, a function between each two.

    Args:
        names: In the order of their use.
        sizes: Of the features, and of each layer.
        activation: One for all.
        bias: Whether layers have one.
        made: The order in which the layers are made, where it is another.
    """

    def __init__(
        self,
        names: Sequence[str],
        sizes: Sequence[int] = SIZES,
        activation: str = "sigmoid",
        *,
        bias: bool = True,
        made: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.names = list(names)
        widths = dict(zip(names, pairwise(sizes), strict=True))
        for name in names if made is None else made:
            setattr(self, name, nn.Linear(*widths[name], bias=bias))
        self.act = FUNCTIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        for name in self.names[:-1]:
            x = self.act(getattr(self, name)(x))
        return in_order(x, [getattr(self, self.names[-1])])


class Called(nn.Module):
    """`fc1`, `fc2`, and between them a function with a name: `relu`, in tutorials."""

    def __init__(self, function: nn.Module, name: str = "relu") -> None:
        super().__init__()
        self.fc1 = nn.Linear(5, 7)
        setattr(self, name, function)
        self.fc2 = nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        return in_order(x, self.children())


class Wrapped(nn.Module):
    """Modules under attributes, used in the order in which they are made."""

    def __init__(self, **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Tensor) -> Tensor:
        return in_order(x, self.children())


class HiddenLayers(nn.Module):
    """`hidden_layers` and `output`, as in a well-known course."""

    def __init__(self, sizes: Sequence[int] = SIZES) -> None:
        super().__init__()
        self.hidden_layers = nn.ModuleList(
            nn.Linear(*pair) for pair in pairwise(sizes[:-1])
        )
        self.output = nn.Linear(sizes[-2], sizes[-1])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden_layers:
            x = torch.sigmoid(layer(x))
        return in_order(x, [self.output])


class OnlyLayers(nn.Module):
    """A list `layers` that has all of them."""

    def __init__(self, sizes: Sequence[int] = SIZES) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = torch.sigmoid(layer(x))
        return in_order(x, [self.layers[-1]])


class LayerDict(nn.Module):
    """A `ModuleDict` whose names have no number that tells the order."""

    def __init__(self, sizes: Sequence[int] = SIZES) -> None:
        super().__init__()
        names = ("input", "hidden_1", "output")
        layers = [nn.Linear(*pair) for pair in pairwise(sizes)]
        self.layer = nn.ModuleDict(dict(zip(names, layers, strict=True)))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.sigmoid(self.layer["input"](x))
        x = torch.sigmoid(self.layer["hidden_1"](x))
        return in_order(x, [self.layer["output"]])


class BatchNormed(nn.Module):
    """`fc1`, `bn1`, `fc2`: the names do not say where `bn1` is used."""

    def __init__(self, place: str = "before", activation: str = "sigmoid") -> None:
        super().__init__()
        self.fc1, self.bn1 = nn.Linear(5, 7), nn.BatchNorm1d(7)
        self.fc2 = nn.Linear(7, 3)
        self.place, self.act = place, FUNCTIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        behind = (
            (self.bn1, self.act) if self.place == "before" else (self.act, self.bn1)
        )
        return in_order(x, [self.fc1, *behind, self.fc2])


class Lit(nn.Module):
    """What a LightningModule saves: `model.`, maybe a buffer of the loss."""

    def __init__(self, network: nn.Module, *, has_buffer: bool = False) -> None:
        super().__init__()
        self.model = network
        if has_buffer:
            weight = torch.tensor([2.0, 2.0, 2.0])
            self.loss_fn = nn.BCEWithLogitsLoss(pos_weight=weight)

    def forward(self, x: Tensor) -> Tensor:
        return in_order(x, [self.model])


def in_order(x: Tensor, modules: Iterable[nn.Module]) -> Tensor:
    """Apply one module after the other."""
    for module in modules:
        x = module(x)
    return x


def stack(
    sizes: Sequence[int] = SIZES,
    activation: str = "sigmoid",
    *,
    dropout: bool = False,
    norm: Callable[[int], nn.Module] | None = None,
    flatten: bool = False,
    bias: bool = True,
    final: nn.Module | None = None,
) -> nn.Sequential:
    """Make a `Sequential`: Linear, norm, function, Dropout, Linear, …

    Args:
        sizes: Of the features, and of each layer.
        activation: One for all.
        dropout: Whether one stands behind each function.
        norm: Makes what stands behind each hidden layer.
        flatten: Whether a Flatten comes first.
        bias: Whether layers have one.
        final: Stands behind the last layer.
    """
    modules: list[nn.Module] = [nn.Flatten()] if flatten else []
    for position, pair in enumerate(pairwise(sizes)):
        modules.append(nn.Linear(*pair, bias=bias))
        if position == len(sizes) - 2:
            break
        if norm:
            modules.append(norm(pair[1]))
        modules.append(FUNCTIONS[activation]())
        if dropout:
            modules.append(nn.Dropout(0.2))
    return nn.Sequential(*modules, *([final] if final else []))


def blocks(sizes: Sequence[int] = SIZES) -> Wrapped:
    """Make `layer1 = Sequential(Linear, Sigmoid)`, …; the last has a layer alone."""
    *hidden, last = pairwise(sizes)
    made = [nn.Sequential(nn.Linear(*pair), nn.Sigmoid()) for pair in hidden]
    made.append(nn.Sequential(nn.Linear(*last)))
    return Wrapped(**{f"layer{i}": block for i, block in enumerate(made, 1)})


def used(network: nn.Module) -> nn.Module:
    """Give each BatchNorm running statistics as after some training."""
    network.train()
    for _ in range(20):
        network(3 * torch.randn(64, 5) + 1)
    return network.eval()
