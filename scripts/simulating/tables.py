"""The tables of the page."""

from collections.abc import Mapping
from statistics import median
from typing import Any, Final

import numpy as np

from benchmark.table import Table, milliseconds
from simulating import results
from simulating.experiments import REPLICAS, highest_load
from simulating.measuring import WAYS

Document = Mapping[str, Any]
_SHOWN_LOADS: Final = ("0.3", "0.6", "0.8", "0.9")
# Of a p99 that is still good, in multiples of the p50 of an idle replica.
BOUND: Final = 5


def tables(known: Document) -> list[Table]:
    """Make the tables of all that is known."""
    found: list[Table] = []
    if measured := known.get(results.MEASURED):
        found += [measured_table(measured), _starts_table(measured)]
    if validated := known.get(results.VALIDATED):
        found += [validated_table(validated), _steadiness_table(validated)]
    for figures in known.get(results.SIMULATED, {}).get("kinds", {}).values():
        shown = figures["shown"]
        found += [
            _batching_table(shown, figures),
            _fleets_table(shown, figures),
            _targets_table(shown, figures),
            _large_table(shown, figures),
            _bursts_table(shown, figures),
        ]
    return found


def measured_table(measured: Document) -> Table:
    """Show the capacity of each kind, pinned and as started."""
    rows = []
    for kind in measured["kinds"].values():
        cells = [kind["shown"]]
        for way in WAYS:
            rate = median(kind[way]["requests per second"])
            cpu = median(kind[way]["CPU seconds per request"])
            cells += [
                f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}",
                f"{1e6 * cpu:,.0f}",
                f"{kind['rows'] / cpu:,.0f}",
            ]
        rows.append(cells)
    head = ["request"]
    for way in WAYS:
        head += [f"requests/s, {way}", "CPU µs", "rows/s per core"]
    return Table("Rows per second per core", head, rows)


def _starts_table(measured: Document) -> Table:
    rows = [
        [way, f"{median(values):.1f}", f"{max(values):.1f}"]
        for way, values in measured["start seconds"].items()
    ]
    return Table(
        "From the start of a replica to ready, seconds", ["", "median", "longest"], rows
    )


def validated_table(validated: Document) -> Table:
    """Show how near the simulation is to one replica."""
    rows = [
        [
            kind["shown"],
            f"{line['share']:.0%}",
            line["quantile"],
            milliseconds(line["measured"]),
            milliseconds(line["simulated"]),
            f"{line['offs'][1]:+.0%}",
            f"{line['offs'][0]:+.0%} … {line['offs'][2]:+.0%}",
            "ok" if line["met"] else "no",
        ]
        for kind in validated["kinds"].values()
        for line in kind["compared"]
    ]
    head = ["request", "load", "latency", "measured ms", "simulated ms"]
    head += ["off", "half of the rounds", "met"]
    return Table("One replica, measured and simulated", head, rows)


def _steadiness_table(validated: Document) -> Table:
    rows = []
    for kind in validated["kinds"].values():
        late, empty = (
            max(load[what] for load in kind["empty handler"].values())
            for what in ("late", "measured")
        )
        slow, mean = np.quantile(kind["speed"], [0.05, 0.5]).tolist()
        rows.append(
            [
                kind["shown"],
                f"{kind['rounds']}",
                f"{kind['capacity']:,.0f}",
                f"{slow / mean:.2f}",
                milliseconds(late),
                milliseconds(empty),
            ]
        )
    head = ["request", "rounds", "capacity, requests/s", "slow phases"]
    head += ["client late, p99 ms", "empty handler, p99 ms"]
    return Table("How steady it was", head, rows)


def _batching_table(shown: str, figures: Document) -> Table:
    together, steady = figures["fleets"]["random"]["1"], figures["steady"]
    rows = [
        [
            f"{float(load):.0%}",
            f"{cells['batch']:.1f}",
            f"{cells['busy']:.0%}",
            f"{figures['one by one'][load]['busy']:.0%}",
            f"{cells['in flight']:.1f}",
            *(
                f"{milliseconds(each['p50'])} / {milliseconds(each['p99'])}"
                for each in (cells, steady[load])
            ),
        ]
        for load, cells in together.items()
    ]
    head = ["load", "requests of a turn", "busy", "busy, one by one", "in flight"]
    head += ["p50 / p99 ms", "p50 / p99 ms, steady core"]
    most = f"{figures['capacity']:,.0f} requests/s at most"
    return Table(f"{shown}: one replica, {most}", head, rows)


def _fleets_table(shown: str, figures: Document) -> Table:
    rows = [
        [balancing, f"{count:,}"]
        + [milliseconds(by_count[str(count)][load]["p99"]) for load in _SHOWN_LOADS]
        for balancing, by_count in figures["fleets"].items()
        for count in REPLICAS
        if by_count[str(count)]
    ]
    head = ["balancing", "replicas", *(f"{float(x):.0%} load" for x in _SHOWN_LOADS)]
    return Table(f"{shown}: p99 in ms by load", head, rows)


def _targets_table(shown: str, figures: Document) -> Table:
    idle = figures["fleets"]["random"]["1"]["0.1"]["p50"]
    rows = []
    for balancing, by_count in figures["fleets"].items():
        for count in REPLICAS:
            by_load = by_count[str(count)]
            if not by_load:
                continue
            load = highest_load(by_load, BOUND * idle)
            nearest = min(by_load, key=lambda text: abs(float(text) - load))
            rest = load * (count - 1) / count
            cells = by_load[nearest]
            rows.append(
                [
                    balancing,
                    f"{count:,}",
                    f"{load:.0%}",
                    f"{rest:.0%}",
                    f"{cells['busy']:.0%}",
                    f"{cells['in flight']:.1f}",
                ]
            )
    head = ["balancing", "replicas", "highest load", "with one lost"]
    head += ["CPU there", "in flight per replica"]
    title = f"{shown}: load up to which p99 is at most {milliseconds(BOUND * idle)} ms"
    return Table(title, head, rows)


def _large_table(shown: str, figures: Document) -> Table:
    rows = [
        [cores, way]
        + [
            f"{milliseconds(cells['p50'])} / {milliseconds(cells['p99'])}"
            for cells in by_load.values()
        ]
        for cores, ways in figures["large"].items()
        for way, by_load in ways.items()
    ]
    head = ["cores", "way", "30% load", "60% load", "80% load"]
    return Table(f"{shown}: one large or many small, p50 / p99 in ms", head, rows)


def _bursts_table(shown: str, figures: Document) -> Table:
    rows = [
        [
            balancing,
            f"{int(count):,}",
            milliseconds(
                figures["fleets"][_like(balancing, count)][count]["0.6"]["p99"]
            ),
            milliseconds(cells["p99"]),
        ]
        for balancing, by_count in figures["bursts"].items()
        for count, cells in by_count.items()
    ]
    head = ["balancing", "replicas", "p99 ms, even", "p99 ms, in bursts"]
    return Table(f"{shown}: 60 % load, even and in bursts", head, rows)


def _like(balancing: str, count: str) -> str:
    """Of one replica all balancing is the same."""
    return "random" if count == "1" else balancing
