"""What a campaign found, in one table."""

from collections import Counter
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fuzzing.campaign import Count, Findings
from fuzzing.memory import MIB, level

_CODES = 6


def faults(findings: Findings) -> Iterator[str]:
    """List all that must not be, a line each; memory that grows, too."""
    yield from findings.faults
    hidden = findings.faulty - len(findings.faults)
    if hidden:
        yield f"and {hidden} more"
    fault = level(findings.samples).fault
    if fault:
        yield fault


def show(console: Console, title: str, findings: Findings) -> None:
    """Print the table, and then the faults."""
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("kind")
    for name in ("count", "accepted", "refused", "per second"):
        table.add_column(name, justify="right")
    table.add_column("refused by code")
    for kind in sorted(findings.counts):
        table.add_row(kind, *_cells(findings.counts[kind]))
    total = _total(findings.counts)
    total.seconds = findings.seconds
    table.add_section()
    table.add_row("all, with making and judging", *_cells(total), style="bold")
    table.caption = _memory(findings)
    console.print(table)
    for line in faults(findings):
        console.print(f"[bold red]FAULT[/] {escape(line)}", soft_wrap=True)


def _cells(count: Count) -> tuple[str, ...]:
    tried = count.codes.total()
    refusals = Counter(
        {code: number for code, number in count.codes.items() if code != "accepted"}
    )
    codes = [f"{code} {number:,}" for code, number in refusals.most_common(_CODES)]
    if len(refusals) > _CODES:
        codes.append("…")
    return (
        f"{tried:,}",
        f"{count.codes['accepted']:,}",
        f"{refusals.total():,}",
        f"{tried / max(count.seconds, 1e-9):,.0f}",
        ", ".join(codes),
    )


def _total(counts: Mapping[str, Count]) -> Count:
    total = Count()
    for count in counts.values():
        total.codes += count.codes
    return total


def _memory(findings: Findings) -> str:
    warm, end, slope = level(findings.samples)
    lines = [
        f"Memory: {warm / MIB:.1f} MiB after the first tenth, {end / MIB:.1f} MiB at "
        f"the end, {slope * 100_000 / MIB:+.2f} MiB per 100,000"
    ]
    if findings.peak:
        lines.append(
            f"Peak of one: {findings.peak / MIB:.1f} MiB, by {findings.peak_of}"
        )
    return "\n".join(lines)
