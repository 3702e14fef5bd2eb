"""The dearest requests of each kind, in one table."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fuzzing.cost.limits import MEASURES, MIB, Cost, limits
from fuzzing.cost.search import Worst
from fuzzing.cost.space import written


def faults(found: Sequence[Worst]) -> Iterator[str]:
    """List all that costs more than it may, a line each."""
    for worst in found:
        for measure, kept in worst.by_measure.items():
            if kept and kept[0].share > 1:
                recipe = written(worst.kind.name, kept[0].values)
                yield f"{measure} {kept[0].share:.1f} × what it may be; {recipe}"
        for recipe in dict.fromkeys(worst.ends):
            yield f"it ended the server; {recipe}"


def line(worst: Worst) -> str:
    """Say how much of what they may cost the dearest requests of a kind did cost."""
    parts = (f"{name} {kept[0].share:.0%}" for name, kept in worst.by_measure.items())
    return f"{worst.kind.name}: {', '.join(parts)} of the limit, {worst.tried} tried"


def show(console: Console, title: str, found: Sequence[Worst]) -> None:
    """Print the table, then what costs too much."""
    table = Table(title=title, title_justify="left")
    table.add_column("kind, requests tried")
    table.add_column("worst")
    for name in ("measured", "limit", "of it", "bytes", "per MB", "answer"):
        table.add_column(name, justify="right")
    table.add_column("made from", overflow="fold")
    for worst in found:
        for measure in MEASURES:
            kept = worst.by_measure[measure][0]
            name = f"{worst.kind.name}, {worst.tried}" if measure == "CPU" else ""
            made = written("", kept.values).removeprefix(": ")
            style = "bold red" if kept.share > 1 else ""
            row = cells(measure, kept.cost)
            table.add_row(name, measure, *row, made, style=style)
        table.add_section()
    console.print(table)
    for line in faults(found):
        console.print(f"[bold red]FAULT[/] {escape(line)}", soft_wrap=True)


def cells(measure: str, cost: Cost) -> tuple[str, ...]:
    """Write what a request cost in one measure, and what it was."""
    most = limits(cost.size, cost.requests, cost.answer_bytes)
    megabytes = cost.size / 1e6
    got, may, per = {
        "CPU": (cost.cpu_seconds * 1e3, most.cpu_seconds * 1e3, "ms"),
        "memory": (cost.memory_bytes / MIB, most.memory_bytes / MIB, "MiB"),
        "silence": (cost.silence * 1e3, most.silence_seconds * 1e3, "ms"),
    }[measure]
    more = " and more" if cost.is_cut else ""
    status = str(cost.status or "none")
    if cost.answer_bytes >= MIB:
        status += f", {cost.answer_bytes / MIB:.0f} MiB"
    return (
        f"{got:,.1f} {per}{more}",
        f"{may:,.1f}",
        f"{got / may:.0%}",
        f"{cost.size:,}",
        f"{got / megabytes:,.0f} {per}",
        cost.end if cost.end and not cost.is_cut else status,
    )
