"""What stands between layers, as far as the numbers in their names tell.

A numbered container counts modules without weights, too.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from sigmoid_models.intake.modules import MAX_DIGITS, Module
from sigmoid_models.intake.refusal import RefusedError

# Containers whose numbers count layers alone: lists, which are no Sequential.
_LISTS: Final = ("layer", "linear", "hidden", "fc", "lin", "block", "dense")


def check_between(
    layers: Sequence[Module],
    others: Sequence[Module],
    modules: Sequence[str],
    *,
    is_named: bool,
) -> None:
    """Check that a function can stand between each two layers.

    Args:
        layers: In the order of their use.
        others: The BatchNorms.
        modules: Names of all modules, where the file tells them.
        is_named: Whether the user named the layers, and the function behind each; then
            only a `Sequential` without a name, which is one for sure, is judged by its
            numbers.

    Raises:
        RefusedError: Two stand side by side.
    """
    counted = {each.name for each in (*layers, *others)}
    inside, last = _by_container(layers), last_numbers(modules)
    lists = {
        name
        for name, numbers in inside.items()
        if numbers == [*range(len(numbers))] and last.get(name, -1) < len(numbers)
    }
    for before, after in pairwise(layers):
        here = before.container
        places = free_places(before, after, counted)
        if places is not None:
            is_bare = not places and not (here in lists and _may_be_list(here))
        else:
            # What stands behind the last of several layers is in the same container,
            # or not known.
            is_stack = here not in ("", after.container) and len(inside[here]) > 1
            is_bare = is_stack and here not in lists and not has_behind(before, last)
        if not is_bare or (here and is_named):
            continue
        finding = (
            f"no function stands between its layers {before.name} and {after.name}"
        )
        if not before.container:
            raise RefusedError(finding, "merge the two into one layer, their product")
        remedy = (
            f"if it computes one outside of {here}, or none, name all layers and the "
            "function behind each: sigmoid-serve convert --layers A,B,C --activation "
            "relu,none"
        )
        raise RefusedError(finding, remedy)


def free_places(before: Module, after: Module, counted: set[str]) -> list[int] | None:
    """List the numbers between two modules that none with weights has.

    Returns:
        None where the two do not stand in one numbered container.
    """
    first, last = before.number, after.number
    if before.container != after.container or first is None or last is None:
        return None
    start = f"{before.container}." if before.container else ""
    return [n for n in _few(first, last) if f"{start}{n}" not in counted]


def has_behind(layer: Module, last: Mapping[str, int]) -> bool:
    """Tell whether modules stand behind a layer in its numbered container.

    Args:
        layer: A linear layer.
        last: See `last_numbers`.
    """
    return layer.number is not None and last.get(layer.container, -1) > layer.number


def last_numbers(modules: Sequence[str]) -> dict[str, int]:
    """Return the last number of each numbered container, by its name."""
    found: dict[str, int] = {}
    for name in modules:
        container, _, last = name.rpartition(".")
        if last.isdecimal() and len(last) < MAX_DIGITS:
            found[container] = max(found.get(container, -1), int(last))
    return found


def _by_container(layers: Sequence[Module]) -> dict[str, list[int | None]]:
    """Return the numbers of the layers in each container."""
    found: dict[str, list[int | None]] = {}
    for layer in layers:
        found.setdefault(layer.container, []).append(layer.number)
    return found


def _may_be_list(container: str) -> bool:
    """Tell whether a container without gaps, of this name, is likely no Sequential."""
    name = container.rpartition(".")[2].lower()
    return any(word in name for word in _LISTS)


def _few(first: int, last: int) -> range:
    """Return the numbers between two, of very many only the first."""
    return range(first + 1, min(last, first + 100))
