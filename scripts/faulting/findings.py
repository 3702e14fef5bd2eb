"""What the faults showed: one table, and whether each criterion is met."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from faulting.client import metric
from faulting.load import Tally
from faulting.server import Server


class Criterion(NamedTuple):
    """What must be so.

    Attributes:
        name: The requirement.
        measured: What was found.
        is_met: Whether it is as required.
    """

    name: str
    measured: str
    is_met: bool


@dataclass
class Finding:
    """One run of a fault.

    Attributes:
        name: Of the fault.
        tally: Of its load.
        note: What else is worth knowing.
        criteria: What must be so.
    """

    name: str
    tally: Tally
    note: str = ""
    criteria: list[Criterion] = field(default_factory=list)

    def require(self, name: str, measured: object, is_met: bool) -> None:
        """Add a criterion."""
        self.criteria.append(Criterion(name, str(measured), is_met))

    def require_none(self, name: str, found: Counter[str]) -> None:
        """Require that nothing was counted."""
        self.require(f"{name} = 0", _counted(found) or "0", not found)

    def require_unharmed(self) -> None:
        """Require that all who asked as they should were answered rightly."""
        self.require_none("wrong", self.tally.wrong)
        self.require_none("rejected", self.tally.refused)
        self.require_none("lost", self.tally.lost)

    async def require_empty_queue(self, server: Server) -> None:
        """Require that nothing is in the queue any more."""
        queued = await metric(server.port, "sigmoid_inflight_elements")
        self.require("sigmoid_inflight_elements = 0 at last", f"{queued:g}", not queued)

    def require_no_surprise(self, server: Server) -> None:
        """Require that the server met no error that it did not foresee."""
        found = server.surprises()
        said = f"{len(found)}, the first: {found[0][:300]}" if found else "0"
        self.require("unforeseen errors in the log = 0", said, not found)


def show(console: Console, title: str, findings: Sequence[Finding]) -> None:
    """Print the table, then the criteria."""
    table = Table(title=title, title_justify="left")
    table.add_column("fault")
    for head in ("sent", "correct"):
        table.add_column(head, justify="right")
    for head in ("rejected", "wrong", "lost", "note"):
        table.add_column(head)
    for finding in findings:
        tally = finding.tally
        table.add_row(
            finding.name,
            f"{tally.offered:,}",
            f"{tally.right:,}",
            *(_counted(found) or "0" for found in (tally.refused, tally.wrong)),
            _counted(tally.lost) or "0",
            escape(finding.note),
        )
    console.print(table)
    for finding in findings:
        for name, measured, is_met in finding.criteria:
            verdict = "[green]PASS[/]" if is_met else "[bold red]FAIL[/]"
            line = escape(f"{finding.name}: {name}; measured: {measured}")
            console.print(f"{verdict} {line}", soft_wrap=True)


def _counted(found: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in found.most_common())
