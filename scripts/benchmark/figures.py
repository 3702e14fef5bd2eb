"""What was measured: a value for each round, by workload, case, server and quantity."""

from statistics import median
from typing import NamedTuple

RATE = "requests per second"


class Key(NamedTuple):
    """Names a figure.

    Attributes:
        workload: Such as `W1`.
        case: Such as a number of connections; empty where there is one case.
        server: Or what else was measured, such as `floor`.
        quantity: With its unit, such as `requests/s`.
    """

    workload: str
    case: str
    server: str
    quantity: str


Figures = dict[Key, list[float]]
Nested = dict[str, dict[str, dict[str, dict[str, list[float]]]]]


def add(figures: Figures, key: Key, value: float) -> None:
    """Append the value of one more round."""
    figures.setdefault(key, []).append(value)


def middle(figures: Figures, key: Key) -> float | None:
    """Return the median over the rounds; None where nothing was measured."""
    return median(figures[key]) if key in figures else None


def ratio(figures: Figures, above: Key, below: Key) -> float | None:
    """Divide round by round, and return the median of the quotients."""
    if above not in figures or below not in figures:
        return None
    pairs = zip(figures[above], figures[below], strict=True)
    return median(one / other for one, other in pairs)


def servers(figures: Figures, workload: str) -> list[str]:
    """List what was measured in a workload, in the order of the first round."""
    return list(
        dict.fromkeys(key.server for key in figures if key.workload == workload)
    )


def cases(figures: Figures, workload: str) -> list[str]:
    """List the cases of a workload, in the order of the first round."""
    return list(dict.fromkeys(key.case for key in figures if key.workload == workload))


def nested(figures: Figures) -> Nested:
    """Arrange for JSON: workload, case, server, quantity, then the rounds."""
    tree: Nested = {}
    for (workload, case, server, quantity), values in figures.items():
        by_server = tree.setdefault(workload, {}).setdefault(case, {})
        by_server.setdefault(server, {})[quantity] = values
    return tree
