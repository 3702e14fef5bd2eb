"""Tables of the figures, as text in cells."""

from collections.abc import Sequence

from benchmark.figures import RATE, Figures, Key, cases, middle, ratio, servers
from benchmark.growth import FORMATS
from benchmark.networks.tables import large_tables
from benchmark.networks.through_http import FORMATS as LARGE_FORMATS
from benchmark.open_inference.passes import (
    BATCH,
    ROWS,
    SIGMOID,
    STARTED,
)
from benchmark.programs import OURS
from benchmark.replicas import GROUPS, REPLICAS
from benchmark.table import (
    Table,
    mebibytes,
    milliseconds,
    range_cell,
    ratio_cell,
    value_cell,
)
from benchmark.target import Target


def all_tables(figures: Figures) -> list[Table]:
    """Make the tables of the workloads that were measured."""
    tables = [
        _load(figures, "W1", "W1: one row, requests per second"),
        _load(figures, "W2", "W2: 1024 rows, requests per second"),
        _load(figures, "W4", "W4: one row, one connection"),
        _load(figures, "ways", "One row of 30 features, 32 connections", "sent"),
        _load(figures, "heavy", "One row of a network too large for the event loop"),
        *(
            _load(figures, f"{name} as started", f"{name} as started, on all cores")
            for name in ("W1", "W2", "W4")
        ),
        _seconds(figures, "W3 JSON", "W3: sigmoid of 1000 × 1000 as JSON, one client"),
        _seconds(figures, "W3 npy", "W3: the same as .npy, one client"),
        _memory(figures),
        _seconds(figures, "start", "Start: process to first answer"),
        _elements(figures),
        _depth(figures),
        _threads(figures),
        _livez(figures),
        *large_tables(figures),
        *(
            _seconds(
                figures, workload, f"4,096 rows to 256-1024×9-10 through HTTP, {form}"
            )
            for workload, form in LARGE_FORMATS.items()
        ),
        *_v2(figures),
        _replicas(figures),
    ]
    return [table for table in tables if table.rows]


def _v2(figures: Figures) -> list[Table]:
    tables = []
    for suffix, where in (("", ""), (STARTED, ", as started, on all cores")):
        rows, batch, sigmoid = (f"{name}{suffix}" for name in (ROWS, BATCH, SIGMOID))
        tables += [
            _load(figures, rows, f"v2: one row as JSON{where}"),
            _load(figures, batch, f"v2: 1024 rows as binary FP32{where}"),
            _seconds(
                figures, sigmoid, f"v2: sigmoid of 1000 × 1000 as binary FP32{where}"
            ),
        ]
    return tables


def _replicas(figures: Figures) -> Table:
    rows = []
    quantities = ["p50 ms", "p99 ms", *(f"CPU us of {group}" for group in GROUPS)]
    for case in cases(figures, REPLICAS):
        for server in servers(figures, REPLICAS):
            rate, ours = (Key(REPLICAS, case, each, RATE) for each in (server, OURS))
            keys = [Key(REPLICAS, case, server, quantity) for quantity in quantities]
            rows.append(
                [
                    case,
                    server,
                    value_cell(figures, rate, "{:,.0f}".format),
                    ratio_cell(figures, ours, rate),
                    *(value_cell(figures, key, "{:.2f}".format) for key in keys[:2]),
                    *(value_cell(figures, key, "{:,.0f}".format) for key in keys[2:]),
                ]
            )
    head = ["", "server", "requests/s", "ours ÷ it", "p50 ms", "p99 ms"]
    title = "Through Ray Serve, as started; CPU time of a request, µs"
    return Table(title, [*head, *GROUPS], rows)


def targets_table(targets: Sequence[Target]) -> Table:
    """Show each target, what was measured, and whether it is met."""
    rows = [
        [
            target.name,
            f"{target.sign} {target.bound:g}{target.unit}",
            f"{target.measured:.3g}{target.unit}",
            "ok" if target.met else "no",
        ]
        for target in targets
    ]
    return Table("Targets", ["target", "required", "measured", "met"], rows)


def _load(
    figures: Figures, workload: str, title: str, case_name: str = "connections"
) -> Table:
    rows = []
    for case in cases(figures, workload):
        for server in servers(figures, workload):
            rate, ours = (Key(workload, case, name, RATE) for name in (server, OURS))
            p50, p99 = (
                Key(workload, case, server, quantity)
                for quantity in ("p50 ms", "p99 ms")
            )
            rows.append(
                [
                    case,
                    server,
                    value_cell(figures, rate, "{:,.0f}".format),
                    range_cell(figures, rate, "{:,.0f}".format),
                    value_cell(figures, p50, "{:.2f}".format),
                    value_cell(figures, p99, "{:.2f}".format),
                    ratio_cell(figures, ours, rate),
                ]
            )
    head = [case_name, "server", "requests/s", "lowest to highest"]
    return Table(title, [*head, "p50 ms", "p99 ms", "ours ÷ it"], rows)


def _seconds(figures: Figures, workload: str, title: str) -> Table:
    rows = []
    for server in servers(figures, workload):
        key, ours = (Key(workload, "", name, "seconds") for name in (server, OURS))
        rows.append(
            [
                server,
                value_cell(figures, key, milliseconds),
                range_cell(figures, key, milliseconds),
                ratio_cell(figures, ours, key),
                ratio_cell(figures, key, ours),
            ]
        )
    head = ["", "ms", "lowest to highest", "ours ÷ it", "it ÷ ours"]
    return Table(title, head, rows)


def _memory(figures: Figures) -> Table:
    quantities = (
        "idle bytes",
        "bytes after a request",
        "peak above idle bytes",
        "bound bytes",
    )
    rows = []
    for server in servers(figures, "memory"):
        keys = [Key("memory", "", server, quantity) for quantity in quantities]
        cells = [value_cell(figures, key, mebibytes) for key in keys]
        rows.append([server, *cells, ratio_cell(figures, keys[2], keys[3])])
    head = ["server", "idle", "after a request", "W3 JSON above idle", "bound"]
    title = "Memory, MiB resident; bound: 2 × (body + answer) + 8 × array"
    return Table(title, [*head, "÷ bound"], rows)


def _elements(figures: Figures) -> Table:
    rows = []
    workloads = list(FORMATS)
    for case in cases(figures, workloads[0]):
        row = [f"{int(case):,}"]
        for workload in workloads:
            key = Key(workload, case, OURS, "seconds")
            seconds = middle(figures, key)
            row.append(value_cell(figures, key, milliseconds))
            row.append("" if seconds is None else f"{1e9 * seconds / int(case):,.1f}")
        rows.append(row)
    head = ["elements"]
    for name in FORMATS.values():
        head += [f"{name}: ms", "ns per element"]
    return Table("Growth: /sigmoid, one client", head, rows)


def _depth(figures: Figures) -> Table:
    rows = []
    for case in cases(figures, "depth"):
        count, whole, infer = (
            Key("depth", case, OURS, quantity)
            for quantity in ("multiplications", "whole seconds", "infer seconds")
        )
        per = ratio(figures, infer, count)
        rows.append(
            [
                case,
                value_cell(figures, count, "{:,.0f}".format),
                value_cell(figures, infer, milliseconds),
                value_cell(figures, whole, milliseconds),
                "" if per is None else f"{1e12 * per:.1f}",
            ]
        )
    head = ["depth", "multiplications", "infer ms", "whole ms", "infer ps each"]
    return Table("Growth: 1024 rows, DeepClassifier of 64 units", head, rows)


def _threads(figures: Figures) -> Table:
    rows = []
    for case in cases(figures, "threads"):
        whole, infer = (
            Key("threads", case, OURS, f"{quantity} seconds")
            for quantity in ("whole", "infer")
        )
        cells = [value_cell(figures, key, milliseconds) for key in (infer, whole)]
        rows.append([case, *cells])
    title = "4096 rows as .npy, 256 features and ten hidden layers of 1024 units"
    return Table(title, ["threads", "infer ms", "whole ms"], sorted(rows))


def _livez(figures: Figures) -> Table:
    quantities = ("p50 seconds", "p99 seconds", "longest seconds")
    rows = []
    for server in servers(figures, "livez"):
        keys = [Key("livez", "", server, quantity) for quantity in quantities]
        bodies = Key("livez", "", server, "bodies per second")
        cells = [value_cell(figures, key, milliseconds) for key in keys]
        rows.append([server, *cells, value_cell(figures, bodies, "{:.1f}".format)])
    head = ["server", "p50 ms", "p99 ms", "longest ms", "bodies/s"]
    return Table("/livez every 5 ms, under 10 MB bodies without pause", head, rows)
