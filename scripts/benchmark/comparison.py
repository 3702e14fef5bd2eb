"""Two trees: the ratios of the pairs that were measured in turns."""

from statistics import median
from typing import NamedTuple

from benchmark.figures import RATE, Figures, Key
from benchmark.programs import OTHER, OURS
from benchmark.table import Table

# Of one connection alone, whose rate a single stall lowers, the median latency too.
_ALONE = "1"
_LESS_IS_BETTER = (
    "CPU us per request",
    "seconds",
    "CPU seconds",
    "idle bytes",
    "bytes after a request",
    "peak above idle bytes",
)


class Pairs(NamedTuple):
    """A figure of both trees.

    Attributes:
        key: Of this tree.
        ours: Of each round.
        other: Of the same rounds.
        ratios: How many times better this tree is in each round.
    """

    key: Key
    ours: list[float]
    other: list[float]
    ratios: list[float]


def all_pairs(figures: Figures) -> list[Pairs]:
    """Pair the figures of the two trees, round by round; rates, times and sizes."""
    pairs = []
    for key, ours in figures.items():
        if key.server != OURS or not _is_compared(key):
            continue
        other = figures[key._replace(server=OTHER)]
        both = zip(ours, other, strict=True)
        ratios = [
            mine / its if key.quantity == RATE else its / mine for mine, its in both
        ]
        pairs.append(Pairs(key, ours, other, ratios))
    return pairs


def comparison_table(figures: Figures) -> Table:
    """Show of each figure the medians and the median, least and largest ratio."""
    rows = []
    for key, ours, other, ratios in all_pairs(figures):
        values = [_value(key, median(values)) for values in (ours, other)]
        found = (median(ratios), min(ratios), max(ratios))
        quantity = key.quantity.replace("bytes", "MiB")
        rows.append(
            [key.workload, key.case, quantity, *values, *map("{:.3f}".format, found)]
        )
    head = ["task", "case", "figure", "this", "other", "ratio", "lowest", "highest"]
    return Table("This tree against the other: above 1, this one is better", head, rows)


def _is_compared(key: Key) -> bool:
    return (
        key.quantity == RATE
        or key.quantity in _LESS_IS_BETTER
        or (key.quantity == "p50 ms" and key.case == _ALONE)
    )


def _value(key: Key, value: float) -> str:
    if "bytes" in key.quantity:
        return f"{value / 2**20:,.1f}"
    if key.quantity == RATE:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if "us per" in key.quantity else f"{value:,.3f}"
