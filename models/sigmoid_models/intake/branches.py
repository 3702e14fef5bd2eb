"""Layers side by side: two heads, or two networks, that would also fit in a row.

Where all widths are equal, shapes do not tell a row from branches; names often do.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from sigmoid_models.intake.modules import Module
from sigmoid_models.intake.order import common_prefix, rank_of
from sigmoid_models.intake.refusal import RefusedError

# Words that name two branches, where both are found.
_PAIRS: Final = (
    ({"actor", "policy", "pi", "action"}, {"critic", "value", "v", "baseline"}),
    ({"advantage", "adv"}, {"value", "v"}),
    ({"mean", "mu", "loc"}, {"std", "logstd", "var", "logvar", "sigma", "scale"}),
    ({"generator", "gen"}, {"discriminator", "disc"}),
    ({"student", "online", "policy", "local", "eval", "q"}, {"teacher", "target"}),
    ({"query", "q", "wq"}, {"key", "k", "wk"}),
    ({"q1"}, {"q2"}),
    ({"gate"}, {"up", "transform"}),
)
_EXEMPT: Final = ({"encoder", "decoder"},)


def check_branches(layers: Sequence[Module]) -> None:
    """Check that names do not say of layers in a row that they are branches.

    Args:
        layers: In the order of their use, as it was found.

    Raises:
        RefusedError: They do.
    """
    start = len(common_prefix(layers))
    paths = [layer.name[start:].split(".") for layer in layers]
    found = _paired(paths) or _heads(paths) or _alike(layers, paths)
    if found is None:
        return
    one, two = (layers[index].name[:64] for index in found)
    raise RefusedError(
        f"its layers {one} and {two} seem to stand side by side, not in a row",
        "name those in use, first to last: sigmoid-serve convert --layers A,B,…",
    )


def _words(path: Sequence[str]) -> set[str]:
    parts = re.split(r"[_.]|(?<=[a-z])(?=[A-Z])", ".".join(path))
    words = [part.lower() for part in parts]
    return {*words, *(word.rstrip("0123456789") for word in words)}


def _paired(paths: Sequence[Sequence[str]]) -> tuple[int, int] | None:
    """Find two layers whose names hold the two words of a pair."""
    words = [_words(path) for path in paths]
    for ones, twos in _PAIRS:
        one = [
            index for index, own in enumerate(words) if own & ones and not own & twos
        ]
        two = [
            index for index, own in enumerate(words) if own & twos and not own & ones
        ]
        if one and two:
            return one[-1], two[0]
    averaged = [index for index, own in enumerate(words) if "ema" in own]
    others = [index for index, own in enumerate(words) if "ema" not in own]
    return (others[-1], averaged[0]) if averaged and others else None


def _heads(paths: Sequence[Sequence[str]]) -> tuple[int, int] | None:
    """Find two outputs: `head1` and `head2`, or the `fc21` and `fc22` of examples."""
    last = [index for index, path in enumerate(paths) if rank_of(path[0]) > 0]
    for one, two in pairwise(last):
        if paths[one][0] != paths[two][0]:
            return one, two
    for one, (before, after) in enumerate(pairwise(paths)):
        numbers = [
            re.fullmatch(r"(.*\D)([2-9])([12])", path[0]) for path in (before, after)
        ]
        first, second = numbers
        is_pair = first and second and first[1] == second[1] and first[2] == second[2]
        if first and is_pair and len(paths) < int(first[2]) * 10:
            return one, one + 1
    return None


def _alike(
    layers: Sequence[Module], paths: Sequence[Sequence[str]]
) -> tuple[int, int] | None:
    """Find two parts built alike, of the same inputs, whose names are not numbered."""
    parts: dict[str, list[int]] = {}
    for index, path in enumerate(paths):
        if len(path) > 1:
            parts.setdefault(path[0], []).append(index)
    for one, two in pairwise(parts):
        is_numbered = one.rstrip("0123456789") == two.rstrip("0123456789")
        if is_numbered or rank_of(one) != rank_of(two) or {one, two} in _EXEMPT:
            continue
        first, second = parts[one], parts[two]
        inner = [[paths[index][1:] for index in part] for part in (first, second)]
        is_same = inner[0] == inner[1]
        if is_same and layers[first[0]].inputs == layers[second[0]].inputs:
            return first[-1], second[0]
    return None
