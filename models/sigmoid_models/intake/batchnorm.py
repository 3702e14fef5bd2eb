"""Where each BatchNorm stands, and what it does to the layer that it is folded into.

With its running statistics a BatchNorm is `x * factor + shift` for each unit, so that
it is a part of the layer before it, or, behind the function, of the layer after it.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sigmoid_models.intake.modules import Module
from sigmoid_models.intake.named import Place
from sigmoid_models.intake.refusal import RefusedError
from sigmoid_models.intake.stack import free_places

EPSILON: Final = 1e-5
"""PyTorch's default; a `state_dict` does not have it."""

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Norm:
    """A BatchNorm, and the layer that it belongs to.

    Attributes:
        module: Itself.
        layer: Index of the layer before it; -1 for one before the first.
        place: Before or after the function behind that layer; None if that cannot be
            told. There is no function before the first layer, nor behind the last.
    """

    module: Module
    layer: int
    place: Place | None


def place_norms(
    norms: Sequence[Module], layers: Sequence[Module], all_modules: Sequence[Module]
) -> list[Norm]:
    """Find where each BatchNorm stands.

    Args:
        norms: The BatchNorms.
        layers: The linear layers, in the order of their use.
        all_modules: Both, in the file's order.

    Raises:
        RefusedError: One belongs to no layer, or to the same as another.
    """
    around = _surroundings(layers, all_modules)
    found = [_placed(norm, layers, around) for norm in norms]
    taken: set[int] = set()
    for norm in found:
        before = layers[norm.layer].width if norm.layer >= 0 else layers[0].inputs
        name = norm.module.name[:64]
        if norm.module.width != before:
            finding = f"{name} has {norm.module.width} units, where {before} come to it"
            raise RefusedError(finding, "save the network with its layers folded")
        if norm.layer in taken:
            finding = f"two BatchNorms stand behind one layer, one of them {name}"
            raise RefusedError(finding, "fold one of them into the layer, then save")
        taken.add(norm.layer)
    return found


class _Surroundings(NamedTuple):
    """What is looked up for each BatchNorm.

    Attributes:
        inside: Index and number of the layers in each numbered container.
        numbered: Indices of the layers by the last number in their names.
        before: Name of what stands before each module in the file.
        position: Of each layer, by its name.
        names: Of all modules.
    """

    inside: Mapping[str, Sequence[tuple[int, int]]]
    numbered: Mapping[int, Sequence[int]]
    before: Mapping[str, str]
    position: Mapping[str, int]
    names: set[str]


def _surroundings(
    layers: Sequence[Module], all_modules: Sequence[Module]
) -> _Surroundings:
    inside: dict[str, list[tuple[int, int]]] = {}
    numbered: dict[int, list[int]] = {}
    for index, layer in enumerate(layers):
        if layer.number is not None:
            inside.setdefault(layer.container, []).append((index, layer.number))
        number = _last_number(layer.name)
        if number is not None:
            numbered.setdefault(number, []).append(index)
    for numbers in inside.values():
        numbers.sort(key=itemgetter(1))
    names = [each.name for each in all_modules]
    return _Surroundings(
        inside,
        numbered,
        dict(zip(names[1:], names, strict=False)),
        {layer.name: index for index, layer in enumerate(layers)},
        {*names},
    )


def _placed(norm: Module, layers: Sequence[Module], around: _Surroundings) -> Norm:
    if norm.number is not None and norm.container in around.inside:
        return _numbered(norm, norm.number, layers, around)
    index = _partner(norm, around)
    return Norm(norm, index, "before" if index == len(layers) - 1 else None)


def _numbered(
    norm: Module, number: int, layers: Sequence[Module], around: _Surroundings
) -> Norm:
    """Place one by its number among those of the layers beside it."""
    inside = around.inside[norm.container]
    earlier = bisect_left(inside, number, key=itemgetter(1)) - 1
    if earlier < 0:
        first, _ = inside[0]
        if first or free_places(norm, layers[first], around.names):
            raise _unknown(norm)
        return Norm(norm, -1, "after")
    index, _ = inside[earlier]
    functions_before = free_places(layers[index], norm, around.names)
    if not functions_before:
        return Norm(norm, index, "before")
    if index == len(layers) - 1:
        raise _unknown(norm)
    after = layers[index + 1]
    is_last_inside = after.container != norm.container
    is_open = is_last_inside or free_places(norm, after, around.names)
    return Norm(norm, index, None if is_open else "after")


def _partner(norm: Module, around: _Surroundings) -> int:
    """Find the layer of the same number, as `fc1` for `bn1`, or the one before it."""
    number = _last_number(norm.name)
    same = around.numbered.get(number, ()) if number is not None else ()
    if len(same) == 1:
        return same[0]
    before = around.before.get(norm.name)
    if before is not None and before in around.position and not same:
        return around.position[before]
    raise _unknown(norm)


def _last_number(name: str) -> int | None:
    match = re.search(r"([0-9]{1,9})[^0-9]*$", name)
    return int(match[1]) if match else None


def _unknown(norm: Module) -> RefusedError:
    return RefusedError(
        f"where its BatchNorm {norm.name[:64]} stands is not known",
        "fold it into the layer before or behind it, then save",
    )


def factor_and_shift(
    norm: Module, numbers: Mapping[str, Float64Array]
) -> tuple[Float64Array, Float64Array]:
    """Return the `factor` and `shift` of each unit, in float64.

    Args:
        norm: A BatchNorm.
        numbers: Its tensors, by the last part of their name.
    """
    width = norm.width
    weight = numbers.get("weight", np.ones(width))
    bias = numbers.get("bias", np.zeros(width))
    factor = weight / np.sqrt(numbers["running_var"] + EPSILON)
    return factor, bias - numbers["running_mean"] * factor
