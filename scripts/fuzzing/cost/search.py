"""The search: what costs more is changed further, one kind of request at a time."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from typing import Final, NamedTuple, Protocol

from fuzzing.cost.limits import ENDED, MEASURES, Cost, least, shares
from fuzzing.cost.space import Kind, Request, Values, change, draw, written

_KEPT: Final = 4
_NEW_SHARE: Final = 0.5
_AGAIN: Final = 3
_DOUBTFUL: Final = 0.5
_DRAWS: Final = 20
# Long ones, of some MiB, may take seconds each: they have the rest of the time.
_LONG: Final = 2**20
_SHORT_SHARE: Final = 0.6


class Measuring(Protocol):
    """What measures requests."""

    def cost(self, request: Request) -> Cost:
        """Send a request; say what it did cost."""

    def restart(self) -> None:
        """Have the next request meet a fresh server."""


class Tried(NamedTuple):
    """A request that was tried.

    Attributes:
        values: What it was made from.
        cost: What it did cost.
        share: That by what it may cost, in the measure that it is kept for.
    """

    values: Values
    cost: Cost
    share: float


@dataclass
class Worst:
    """The dearest requests of a kind.

    Attributes:
        kind: Of the requests.
        tried: How many were tried.
        by_measure: The dearest in each measure, that one first.
        ends: Recipes that ended the server for another reason than its memory.
    """

    kind: Kind
    tried: int = 0
    by_measure: dict[str, list[Tried]] = field(
        default_factory=lambda: {measure: [] for measure in MEASURES}
    )
    ends: list[str] = field(default_factory=list)

    def would_keep(self, cost: Cost) -> bool:
        """Say whether a request is dearer than the dearest so far in any measure."""
        return any(
            not kept or shares(cost)[measure] > kept[0].share
            for measure, kept in self.by_measure.items()
        )

    def keep(self, values: Values, cost: Cost) -> None:
        """Keep a request where it is among the dearest."""
        for measure, kept in self.by_measure.items():
            kept.append(Tried(values, cost, shares(cost)[measure]))
            kept.sort(key=lambda tried: -tried.share)
            del kept[_KEPT:]


def search(kind: Kind, random: Random, bench: Measuring, seconds: float) -> Worst:
    """Look for the dearest requests of a kind.

    Args:
        kind: Of the requests.
        random: Draws them.
        bench: Measures them.
        seconds: That it may take, beyond measuring again what costs too much.
    """
    worst = Worst(kind)
    start = monotonic()
    while not worst.tried or monotonic() < start + seconds:
        is_long_due = monotonic() > start + _SHORT_SHARE * seconds
        values, request = _next(worst, random, sys.maxsize if is_long_due else _LONG)
        cost = bench.cost(request)
        worst.tried += 1
        if worst.would_keep(cost) and not cost.end:
            again = bench.cost(request)
            # What a server has freed and kept hides what the same request takes later.
            most = max(cost.memory_bytes, again.memory_bytes)
            cost = least([cost, again])._replace(memory_bytes=most)
        if cost.end == ENDED:
            worst.ends.append(written(kind.name, values))
        worst.keep(values, cost)
    for measure in MEASURES:
        _confirm(worst, measure, bench)
    return worst


def _next(worst: Worst, random: Random, most: int) -> tuple[Values, Request]:
    """Draw a request, or change one that is dear, with at most so many bytes."""
    parameters = worst.kind.parameters
    for _ in range(_DRAWS):
        kept = worst.by_measure[random.choice(MEASURES)]
        if not kept or random.random() < _NEW_SHARE:
            values = draw(random, parameters)
        else:
            values = change(random, parameters, random.choice(kept).values)
        request = worst.kind.build(values)
        if request.size <= most:
            break
    return values, request


def _confirm(worst: Worst, measure: str, bench: Measuring) -> None:
    """Measure again what costs too much, or may do so on a fresh server."""
    kept = worst.by_measure[measure]
    doubtful = _DOUBTFUL if measure == "memory" else 1.0
    confirmed: list[Tried] = []
    while kept and kept[0].share > doubtful:
        values, _, _ = kept.pop(0)
        cost = fresh_cost(worst.kind.build(values), bench)
        confirmed.append(Tried(values, cost, shares(cost)[measure]))
        if confirmed[-1].share > 1:
            break
    kept += confirmed
    kept.sort(key=lambda tried: -tried.share)


def fresh_cost(request: Request, bench: Measuring) -> Cost:
    """Measure a request some times, each on a fresh server; take the least."""
    costs = []
    for _ in range(_AGAIN):
        bench.restart()
        costs.append(bench.cost(request))
    return least(costs)


def search_all(
    kinds: Sequence[Kind],
    seed: int,
    bench: Measuring,
    seconds: float,
    show: Callable[[Worst], None] = lambda worst: None,
) -> list[Worst]:
    """Look for the dearest requests of each kind, for equal times.

    Args:
        kinds: Of requests.
        seed: Of what is drawn.
        bench: Measures the requests.
        seconds: For all of them.
        show: Told what was found of each kind, as soon as it was.
    """
    found = []
    for kind in kinds:
        bench.restart()
        random = Random(f"{seed} {kind.name}")
        found.append(search(kind, random, bench, seconds / len(kinds)))
        show(found[-1])
    return found
