"""What was sent, asked and answered, as a table."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from conforming.case import Case
from conforming.deviations import REASONS
from conforming.sending import Outcome


def show(console: Console, outcomes: Sequence[tuple[Case, Outcome]]) -> None:
    """Print the table, and then what is not as the list says."""
    table = Table(title="Open Inference Protocol", title_justify="left")
    for name in ("source", "sent", "asked", "came", "deviation"):
        table.add_column(name, overflow="fold")
    for case, outcome in outcomes:
        reason = REASONS[case.deviation] if case.deviation else ""
        cells = (case.source, case.sent, case.asked, outcome.came, reason)
        table.add_row(*map(escape, cells), style="red" if outcome.fault else None)
    console.print(table)
    deviations = sum(bool(case.deviation) for case, _ in outcomes)
    console.print(f"{len(outcomes)} cases, {deviations} of them deviations")
    for case, outcome in outcomes:
        if outcome.fault:
            line = f"{case.source}, {case.name}: {outcome.fault}; came {outcome.came}"
            console.print(f"[bold red]FAULT[/] {escape(line)}", soft_wrap=True)
