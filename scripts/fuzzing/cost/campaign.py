"""The whole search, with its servers."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from fuzzing import FuzzError
from fuzzing.cost import heads, report
from fuzzing.cost.measure import Bench
from fuzzing.cost.search import Worst, fresh_cost, search_all
from fuzzing.cost.space import Kind, read


def chosen(names: Sequence[str]) -> list[Kind]:
    """List the kinds whose names begin with one of these; all of them for none.

    Raises:
        FuzzError: A name is that of no kind.
    """
    kinds = heads.kinds()
    for name in names:
        if not any(kind.name.startswith(name) for kind in kinds):
            listed = "; ".join(kind.name for kind in kinds)
            raise FuzzError(f"no kind begins with {name!r}; there are: {listed}")
    prefixes = tuple(names) or ("",)
    return [kind for kind in kinds if kind.name.startswith(prefixes)]


def fuzz_cost(
    kinds: Sequence[Kind],
    seconds: float,
    seed: int,
    show: Callable[[Worst], None] = lambda worst: None,
) -> list[Worst]:
    """Search for the dearest requests.

    Args:
        kinds: Of requests.
        seconds: For all of them, beyond measuring again what costs too much.
        seed: Of what is drawn.
        show: Told what was found of each kind, as soon as it was.

    Raises:
        FuzzError: A server does not start.
    """
    with tempfile.TemporaryDirectory() as folder, Bench(Path(folder)) as bench:
        return search_all(kinds, seed, bench, seconds, show)


def repeat(console: Console, recipe: str) -> bool:
    """Measure one request three times; print what it cost.

    Returns:
        Whether that is what it may cost, at its best.

    Raises:
        FuzzError: The recipe is none, or a server does not start.
    """
    kind, values = read(recipe, heads.kinds())
    worst = Worst(kind, tried=1)
    with tempfile.TemporaryDirectory() as folder, Bench(Path(folder)) as bench:
        worst.keep(values, fresh_cost(kind.build(values), bench))
    report.show(console, "cost", [worst])
    return not any(report.faults([worst]))
