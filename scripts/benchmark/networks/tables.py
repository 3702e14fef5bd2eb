"""Tables of the large networks."""

from collections.abc import Sequence

from benchmark.figures import Figures, Key, cases, middle, ratio
from benchmark.liveness import DIFFERENCE
from benchmark.networks.in_process import (
    GPU_WORKLOAD,
    MACHINE,
    THREADS,
    case,
    cpu_workload,
)
from benchmark.networks.shapes import GPU_NETWORKS, GPU_ROWS, NETWORKS, Shape
from benchmark.networks.sides import ENGINE, ONNX, PLAIN
from benchmark.networks.targets import bound_of
from benchmark.networks.through_http import BATCH, ROW_ALONE, ROW_BESIDE
from benchmark.programs import EMPTY, OURS
from benchmark.table import Table, milliseconds, ratio_cell, value_cell

MEMORY, ARITHMETIC = "bytes per second", "multiplications per second"


def large_tables(figures: Figures) -> list[Table]:
    """Make the tables of batches in process, and of what is beside a large network."""
    return [
        _machine(figures),
        *(_batches(figures, cpu_workload(threads), NETWORKS) for threads in THREADS),
        _batches(figures, GPU_WORKLOAD, GPU_NETWORKS),
        _beside(figures),
    ]


def _machine(figures: Figures) -> Table:
    rows = []
    for workload in (*map(cpu_workload, THREADS), GPU_WORKLOAD):
        most = (_most(figures, workload, quantity) for quantity in (MEMORY, ARITHMETIC))
        cells = [f"{value / 1e9:,.1f}" for value in most if value]
        if cells:
            rows.append([workload, *cells])
    title = "Large networks: what the machine can do"
    return Table(title, ["", "GB/s read", "10⁹ multiplications/s"], rows)


def _most(figures: Figures, workload: str, quantity: str) -> float | None:
    """Return the best of the rounds: a limit is what was reached once."""
    return max(figures.get(Key(workload, "", MACHINE, quantity), []), default=None)


def _batches(figures: Figures, workload: str, shapes: Sequence[Shape]) -> Table:
    """Show each batch beside the others and beside the machine's limits.

    The columns of ONNX Runtime are left out where it was not measured.
    """
    others = [
        name
        for name in (PLAIN, ONNX)
        if Key(workload, case(shapes[0], 1), name, "seconds") in figures
    ]
    measured = cases(figures, workload)
    is_judged = workload != GPU_WORKLOAD  # nothing is required of a GPU
    rows = []
    for shape in shapes:
        for count in GPU_ROWS:
            name = case(shape, count)
            if name in measured:
                times = _times(figures, workload, name, others)
                limits = _limits(figures, workload, shape, count)
                met = [_met(figures, workload, name, count)] if is_judged else []
                rows.append([shape.name, f"{count:,}", *times, *limits, *met])
    head = ["network", "rows", "ours ms"]
    head += [text for name in others for text in (f"{name} ms", f"ours ÷ {name}")]
    head += ["memory ms", "arithmetic ms"]
    head += ["met"] if is_judged else []
    return Table(f"Large {workload}: a batch in process", head, rows)


def _times(
    figures: Figures, workload: str, name: str, others: Sequence[str]
) -> list[str]:
    ours = Key(workload, name, ENGINE, "seconds")
    cells = [value_cell(figures, ours, _digits)]
    for other in others:
        key = Key(workload, name, other, "seconds")
        cells += [value_cell(figures, key, _digits), ratio_cell(figures, ours, key)]
    return cells


def _limits(figures: Figures, workload: str, shape: Shape, rows: int) -> list[str]:
    bandwidth = _most(figures, workload, MEMORY)
    peak = _most(figures, workload, ARITHMETIC)
    return [
        _digits(shape.weight_bytes / bandwidth) if bandwidth else "",
        _digits(rows * shape.multiplications / peak) if peak else "",
    ]


def _met(figures: Figures, workload: str, name: str, rows: int) -> str:
    """Tell whether what is required of a cell holds."""
    ours = Key(workload, name, ENGINE, "seconds")
    for other in (PLAIN, ONNX):
        quotient = ratio(figures, ours, Key(workload, name, other, "seconds"))
        bound = bound_of(other, rows)
        if quotient is not None and bound is not None and quotient > bound:
            return "no"
    return "ok"


def _beside(figures: Figures) -> Table:
    rows_of_a_batch = middle(figures, Key("beside", "", BATCH, "rows"))
    shown = {
        OURS: "/livez, ours",
        EMPTY: "/livez, empty",
        DIFFERENCE: "/livez, ours − empty",
        ROW_ALONE: "one row to a small model, alone",
        ROW_BESIDE: "the same beside the large network",
        BATCH: f"one batch of the large network, {rows_of_a_batch or 0:,.0f} rows",
    }
    quantities = ("p50 seconds", "p99 seconds", "longest seconds")
    rows = [
        [
            text,
            *(
                value_cell(figures, Key("beside", "", name, quantity), milliseconds)
                for quantity in quantities
            ),
        ]
        for name, text in shown.items()
    ]
    title = "Beside 4,096 rows to 256-1024×9-10 without pause"
    measured = bool(cases(figures, "beside"))
    head = ["", "p50 ms", "p99 ms", "longest ms"]
    return Table(title, head, rows if measured else [])


def _digits(seconds: float) -> str:
    """Show milliseconds, a thousandth of the short ones too."""
    shown = 1000 * seconds
    return f"{shown:,.3f}" if shown < 10 else f"{shown:,.1f}"
