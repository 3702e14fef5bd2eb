"""What large networks must keep to, and whether they do."""

from collections.abc import Iterator

from benchmark.figures import Figures, Key, middle, ratio
from benchmark.liveness import DIFFERENCE
from benchmark.networks.in_process import THREADS, case, cpu_workload
from benchmark.networks.shapes import NETWORKS, ROWS
from benchmark.networks.sides import ENGINE, ONNX, PLAIN
from benchmark.networks.through_http import BATCH, FORMATS, SUM, WAIT
from benchmark.programs import OURS
from benchmark.target import Target

MANY_ROWS = 32
_REQUIRED = ((PLAIN, 1.5, 1.15), (ONNX, None, 1.25))


def bound_of(other: str, rows: int) -> float | None:
    """Return what ours ÷ the other may be at most; None where nothing is required."""
    for name, few, many in _REQUIRED:
        if name == other:
            return many if rows >= MANY_ROWS else few
    return None


def large_targets(figures: Figures) -> list[Target]:
    """List the targets; those that were not measured have no measured figure."""
    return [*_in_process(figures), *_through_http(figures)]


def _in_process(figures: Figures) -> Iterator[Target]:
    """Judge the worst cell of each kind, and name it."""
    for threads in THREADS:
        workload = cpu_workload(threads)
        for other, few, many in _REQUIRED:
            for bound, rows in (
                (few, [count for count in ROWS if count < MANY_ROWS]),
                (many, [count for count in ROWS if count >= MANY_ROWS]),
            ):
                quotients = _quotients(figures, workload, other, rows)
                if bound is not None and quotients:
                    worst, measured = max(quotients.items(), key=lambda pair: pair[1])
                    some = "32 rows and more" if bound == many else "1 and 8 rows"
                    name = f"Large {workload}, {some}: ours ÷ {other}, worst: {worst}"
                    yield Target(name, "≤", bound, "", measured)


def _quotients(
    figures: Figures, workload: str, other: str, batches: list[int]
) -> dict[str, float]:
    found: dict[str, float] = {}
    for shape in NETWORKS:
        for rows in batches:
            name = case(shape, rows)
            keys = (Key(workload, name, side, "seconds") for side in (ENGINE, other))
            quotient = ratio(figures, *keys)
            if quotient is not None:
                found[name] = quotient
    return found


def _through_http(figures: Figures) -> Iterator[Target]:
    for workload, form in FORMATS.items():
        keys = (Key(workload, "", name, "seconds") for name in (OURS, SUM))
        name = f"4,096 rows to a large network, {form}: ours ÷ (plain + read and write)"
        yield Target(name, "≤", 1.2, "", ratio(figures, *keys))
    livez = middle(figures, Key("beside", "", DIFFERENCE, "p99 seconds"))
    yield Target(
        "/livez beside a large network: p99, ours − empty",
        "≤",
        50,
        " ms",
        None if livez is None else 1000 * livez,
    )
    waited = ratio(
        figures,
        Key("beside", "", WAIT, "p99 seconds"),
        Key("beside", "", BATCH, "p50 seconds"),
    )
    name = "one row beside a large network: p99 of its wait ÷ one batch"
    yield Target(name, "≤", 1.0, "", waited)
