"""A kind of file: how it is made, what is true of it, and what it cannot tell."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from sigmoid_models.dtype import Float64Array

ROWS = 4


class Made(NamedTuple):
    """A file's bytes, and the network that is in it; None if there is none."""

    content: bytes
    network: nn.Module | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        make: Makes one.
        named: What the file cannot tell and its user must name, by the attributes of
            `sigmoid_models.intake.named.Named`; None if it is refused.
        activation: The function between its layers.
    """

    make: Callable[[], Made]
    named: Mapping[str, object] | None
    activation: str


class File(NamedTuple):
    """One that was made: where it is, and what its network makes of some rows."""

    path: Path
    rows: Float64Array | None
    logits: Float64Array | None


def kind(
    make: Callable[[], Made], activation: str = "sigmoid", **named: object
) -> Kind:
    """Describe a kind whose function must be named, and what is `named` beside it."""
    return Kind(make, {"activation": (activation,), **named}, activation)


def complete(make: Callable[[], Made], activation: str = "sigmoid") -> Kind:
    """Describe a kind that tells all itself."""
    return Kind(make, {}, activation)


def refused(make: Callable[[], Made], activation: str = "sigmoid") -> Kind:
    """Describe a kind that is refused, whatever is named."""
    return Kind(make, None, activation)


def saved(content: object, **options: object) -> bytes:
    """Return what `torch.save` writes."""
    file = io.BytesIO()
    torch.save(content, file, **options)  # type: ignore[arg-type]
    return file.getvalue()


def weights(build: Callable[[], nn.Module], **options: object) -> Callable[[], Made]:
    """Make the file of a network's `state_dict`."""
    return partial(_weights, build, options)


def _weights(build: Callable[[], nn.Module], options: Mapping[str, object]) -> Made:
    network = build()
    return Made(saved(network.state_dict(), **options), body(network))


def body(network: nn.Module) -> nn.Module:
    """Leave out the function behind the last layer, which makes no logits."""
    ends = (nn.Sigmoid, nn.Softmax, nn.LogSoftmax)
    if isinstance(network, nn.Sequential) and isinstance(network[-1], ends):
        return network[:-1]
    return network


def write(name: str, kind: Kind, folder: Path) -> File:
    """Write a file of a kind, and compute what is true of it."""
    made = kind.make()
    path = folder / name
    path.write_bytes(made.content)
    if made.network is None:
        return File(path, None, None)
    network = made.network.eval()
    generator = torch.Generator().manual_seed(1)
    first = next(m for m in network.modules() if isinstance(m, nn.Linear))
    rows = torch.randn(ROWS, inputs_of(network, first), generator=generator)
    with torch.no_grad():
        logits = network(rows.to(first.weight.dtype)).double()
    return File(path, rows.double().numpy(), logits.numpy())


def inputs_of(network: nn.Module, first: nn.Linear) -> int:
    """Count the features; the first layer that is made may not be the first in use."""
    return int(getattr(network, "inputs", first.in_features))
