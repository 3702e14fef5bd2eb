"""The order in which layers follow each other: by the file, by shapes, by names."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from sigmoid_models.intake.modules import Module
from sigmoid_models.intake.refusal import RefusedError, listed

# Up to so many layers, all orders are tried.
_FEW: Final = 8
_FIRST: Final = {
    *("input", "first", "in", "inp"),
    *("encoder", "features", "backbone", "trunk", "stem"),
}
_LAST: Final = {
    *("out", "output", "logits", "logit", "head", "last", "final"),
    *("classifier", "pred", "predict", "prediction"),
}

# `fcout`, `linout`, but not `dropout`.
_OUT: Final = re.compile(r"[a-z]{1,6}(?<!drop)(?<!lay)out")

Key = tuple[tuple[int, tuple[tuple[int, str, int], ...]], ...]


def ordered(layers: Sequence[Module], *, is_ordered: bool) -> list[Module]:
    """Put linear layers in the order of their use.

    Args:
        layers: All of a network, in the file's order.
        is_ordered: Whether the file's order says something.

    Raises:
        RefusedError: No order is right by shapes, or several are.
    """
    tutorial = _tutorial(layers)
    is_its_own = not is_ordered or tutorial == [*layers] or not chains(layers)
    if tutorial and is_its_own:
        return tutorial
    by_name = sorted(layers, key=lambda layer: _key(layer.name))
    is_told = all(_is_told(before, after) for before, after in pairwise(by_name))
    if is_ordered and chains(layers):
        # The names may say another order, and the shapes allow it.
        if not tutorial and not (_contradicts(layers) and chains(by_name)):
            return list(layers)
    elif is_told and chains(by_name):
        return by_name
    found = _orders(layers)
    # Weights that stand the other way round, or layers that are given more than what
    # the one before them returns, fit in a row of another order, too.
    if len(found) == 1 and _agree(found[0], is_ordered=is_ordered):
        return found[0]
    if not found and len(layers) <= _FEW:
        raise RefusedError(
            f"its layers make no row: {listed([layer.shown for layer in layers])}",
            "branches, and inputs that are put together, are not served; if some of "
            "them are a row, name those: sigmoid-serve convert --layers A,B,…",
        )
    if len(found) == 1:
        shown = listed([layer.shown for layer in found[0]])
        what = f"its layers fit only in an order that names do not say: {shown}"
    else:
        shown = listed([layer.shown for layer in layers])
        what = f"the order of its layers is not known: {shown}"
    raise RefusedError(
        what, "name them first to last: sigmoid-serve convert --layers A,B,…"
    )


def chosen(layers: Sequence[Module], names: Sequence[str]) -> list[Module]:
    """Find the layers that were named, first to last.

    Args:
        layers: All of a network.
        names: Whole, or without what all layers' names begin with.

    Raises:
        RefusedError: There is none of a name, one is named twice, or they do not follow
            each other by shape.
    """
    prefix = common_prefix(layers)
    known = {layer.name: layer for layer in layers}
    known |= {layer.name[len(prefix) :]: layer for layer in layers}
    missing = [name for name in names if name not in known]
    if missing or len({*names}) < len(names):
        what = (
            f"has no layer {listed(missing)}" if missing else "is named a layer twice"
        )
        have = listed([layer.name for layer in layers], 20)
        raise RefusedError(f"it {what}", f"its layers are {have}")
    found = [known[name] for name in names]
    if not chains(found):
        shown = listed([layer.shown for layer in found])
        remedy = "name them in the order of their use"
        raise RefusedError(f"these layers do not follow each other: {shown}", remedy)
    return found


def common_prefix(layers: Sequence[Module]) -> str:
    """Return what all names begin with, up to a dot: `net.` of `net.0` and `net.2`."""
    paths = [layer.name.split(".")[:-1] for layer in layers]
    shared = []
    for parts in zip(*paths, strict=False):
        if len({*parts}) > 1:
            break
        shared.append(f"{parts[0]}.")
    return "".join(shared)


def chains(layers: Sequence[Module]) -> bool:
    """Tell whether each layer takes as many inputs as the one before has outputs."""
    return all(before.width == after.inputs for before, after in pairwise(layers))


def _tutorial(layers: Sequence[Module]) -> list[Module] | None:
    """Order `fc1`, `layers.0`, …, `fc2`, whose names alone would not tell it."""
    prefix = common_prefix(layers)
    known = {layer.name[len(prefix) :]: layer for layer in layers}
    middle = [f"layers.{index}" for index in range(len(layers) - 2)]
    names = ["fc1", *middle, "fc2"]
    if len(layers) < 3 or known.keys() != {*names}:
        return None
    found = [known[name] for name in names]
    return found if chains(found) else None


def _orders(layers: Sequence[Module]) -> list[list[Module]]:
    """List up to two orders that are right by shapes; none where layers are many."""
    found: list[list[Module]] = []
    if len(layers) > _FEW:
        return found
    waiting: list[list[Module]] = [[layer] for layer in layers]
    while waiting and len(found) < 2:
        begun = waiting.pop()
        rest = [layer for layer in layers if layer not in begun]
        if not rest:
            found.append(begun)
        waiting += [[*begun, n] for n in rest if begun[-1].width == n.inputs]
    return found


def _key(name: str) -> Key:
    """Order names by their numbers, and by words such as `input` and `output`."""
    return tuple((rank_of(part), _tokens(part)) for part in name.split("."))


def rank_of(part: str) -> int:
    """Return -1 for a name such as `input`, 1 for one such as `output`, else 0."""
    words = re.split(r"_|(?<=[a-z])(?=[A-Z])", part)
    words = [re.sub(r"\d+$", "", word).lower() for word in words]
    is_last = any(word in _LAST or _OUT.fullmatch(word) for word in words)
    return is_last - any(word in _FIRST for word in words)


def _tokens(part: str) -> tuple[tuple[int, str, int], ...]:
    return tuple(
        (0, "", int(token[:18])) if token.isdecimal() else (1, token.lower(), 0)
        for token in re.findall(r"[0-9]+|[^0-9]+", part)
    )


def _is_told(before: Module, after: Module) -> bool:
    """Tell whether names say that one layer comes before another."""
    for one, two in zip(before.name.split("."), after.name.split("."), strict=False):
        if one == two:
            continue
        if rank_of(one) != rank_of(two):
            return rank_of(one) < rank_of(two)
        return _stem(one) == _stem(two) and _numbers(one) < _numbers(two)
    return False


def _stem(part: str) -> str:
    return re.sub(r"_?[0-9]+$", "", part).lower()


def _numbers(part: str) -> tuple[int, ...]:
    """Return the numbers in a name; one without a number counts as the first."""
    return tuple(int(number[:18]) for number in re.findall("[0-9]+", part)) or (1,)


def _agree(layers: Sequence[Module], *, is_ordered: bool) -> bool:
    """Tell whether names agree to an order found by shapes alone.

    It is another order than the file's where that one says something: then they must
    say it, not only allow it.
    """
    if is_ordered:
        return all(_is_told(before, after) for before, after in pairwise(layers))
    return not _contradicts(layers)


def _contradicts(layers: Sequence[Module]) -> bool:
    return any(_is_told(after, before) for before, after in pairwise(layers))
