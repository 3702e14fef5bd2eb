"""Where each BatchNorm stands, and what it does to the layer that it is folded into.

With its running statistics a BatchNorm is `x * factor + shift` for each unit, so that
it is a part of the layer before it, or, behind the function, of the layer after it.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Final

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
    norms: Sequence[Module],
    layers: Sequence[Module],
    all_modules: Sequence[Module],
    *,
    is_ordered: bool,
) -> list[Norm]:
    """Find where each BatchNorm stands.

    Args:
        norms: The BatchNorms.
        layers: The linear layers that are used, in the order of their use.
        all_modules: Both, in the file's order, also the layers that are not used.
        is_ordered: Whether the file's order says something.

    Raises:
        RefusedError: One belongs to no layer, or to the same as another.
    """
    if not norms:
        return []
    places = _Places(layers, norms, all_modules, is_ordered=is_ordered)
    norms = [norm for norm in norms if not places.is_unused(norm)]
    found = [places.placed(norm) for norm in norms]
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


class _Places:
    """What names, numbers, widths and the file's order say of BatchNorms."""

    def __init__(
        self,
        layers: Sequence[Module],
        norms: Sequence[Module],
        all_modules: Sequence[Module],
        *,
        is_ordered: bool,
    ) -> None:
        self._layers = layers
        self._counted = {each.name for each in all_modules}
        self._index = {layer.name: index for index, layer in enumerate(layers)}
        self._inside: dict[str, list[tuple[int, int]]] = {}
        self._by_number: dict[int, list[int]] = {}
        self._by_width: dict[int, list[int]] = {layers[0].inputs: [-1]}
        for index, layer in enumerate(layers):
            self._by_width.setdefault(layer.width, []).append(index)
            if layer.number is not None:
                self._inside.setdefault(layer.container, []).append(
                    (index, layer.number)
                )
            if (number := _last_number(layer.name)) is not None:
                self._by_number.setdefault(number, []).append(index)
        for inside in self._inside.values():
            inside.sort(key=itemgetter(1))
        numbers = [n for norm in norms if (n := _last_number(norm.name)) is not None]
        # `bn1` behind `fc0`, or behind `fc1`?
        self._is_counted_alike = not (numbers and self._by_number) or (
            min(numbers) == min(self._by_number) or min(numbers) > 1
        )
        pairs = pairwise(all_modules) if is_ordered else ()
        self._preceding = {
            norm.name: layer.name
            for layer, norm in pairs
            if layer.kind == "linear" and norm.kind == "batchnorm"
        }
        # Behind a layer only what was made after it, where the order is known.
        self._made = {
            each.name: index for index, each in enumerate(all_modules) if is_ordered
        }
        self._used = {layer.container for layer in layers}
        self._unused = {
            each.container
            for each in all_modules
            if each.kind == "linear" and each.name not in self._index
        }

    def is_unused(self, norm: Module) -> bool:
        """Tell whether one stands beside layers that are not used.

        Raises:
            RefusedError: That cannot be told.
        """
        if not self._unused:
            return False
        if (norm.container in self._unused) == (norm.container in self._used):
            raise _unknown(norm)
        return norm.container in self._unused

    def placed(self, norm: Module) -> Norm:
        """Find where one stands.

        Raises:
            RefusedError: That cannot be told.
        """
        inside = self._inside.get(norm.container)
        if norm.number is not None and inside:
            return self._numbered(norm, inside)
        fitting = self._by_width.get(norm.width, [])
        if len(fitting) == 1:
            index = fitting[0]
        else:
            index = self._partner(norm)
            # Of several places, the last is no better known than the others.
            if index == len(self._layers) - 1 and index in fitting:
                raise _unknown(norm)
        if index < 0:
            return Norm(norm, index, "after")
        return Norm(norm, index, "before" if index == len(self._layers) - 1 else None)

    def _numbered(self, norm: Module, inside: Sequence[tuple[int, int]]) -> Norm:
        """Place one by its number among those of the layers beside it."""
        earlier = bisect_left(inside, norm.number or 0, key=itemgetter(1)) - 1
        if earlier < 0:
            first, _ = inside[0]
            if first or free_places(norm, self._layers[first], self._counted):
                raise _unknown(norm)
            return Norm(norm, -1, "after")
        index, _ = inside[earlier]
        has_function = bool(free_places(self._layers[index], norm, self._counted))
        if index == len(self._layers) - 1:
            if has_function:
                raise _unknown(norm)
            return Norm(norm, index, "before")
        after = self._layers[index + 1]
        is_last_inside = after.container != norm.container
        has_more = is_last_inside or bool(free_places(norm, after, self._counted))
        if has_function == has_more:
            # A place for a function on both sides, or on none, as in a list.
            return Norm(norm, index, None)
        return Norm(norm, index, "after" if has_function else "before")

    def _partner(self, norm: Module) -> int:
        """Find the layer of the same number, as `fc1` for `bn1`, or the one before."""
        number = _last_number(norm.name)
        same = self._by_number.get(number, []) if number is not None else []
        preceding = self._index.get(self._preceding.get(norm.name, ""))
        if len(same) == 1 and (self._is_counted_alike or same[0] == preceding):
            layer = self._layers[same[0]].name
            if self._made.get(layer, 0) <= self._made.get(norm.name, 0):
                return same[0]
        is_fitting = preceding is not None and (
            self._layers[preceding].width == norm.width
        )
        if preceding is not None and is_fitting and not same:
            return preceding
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
