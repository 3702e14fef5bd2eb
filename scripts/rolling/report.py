"""What a run of rolling restarts showed: tables, and whether each criterion is met."""

import math
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from faulting.findings import Criterion
from rolling.kubelet import Pod
from rolling.record import Record

_SURPRISE = re.compile(r"^(?:Traceback.*|.*unexpected error.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What was measured.

    Attributes:
        restarts: Rolling restarts.
        pods: All of them, when they have ended.
        records: Of the clients.
        folder: Of the pods' logs.
    """

    restarts: int
    pods: Sequence[Pod]
    records: Sequence[Record]
    folder: Path

    def criteria(self) -> list[Criterion]:
        """Judge it."""
        failed = sum((each.failed for each in self.records), Counter[str]())
        wrong = sum(each.wrong for each in self.records)
        kills = sum(pod.kills for pod in self.pods)
        faults = [fault for pod in self.pods for fault in pod.faults]
        codes = Counter(code for pod in self.pods for code in pod.codes)
        answered = sum((each.ports for each in self.records), Counter[int]())
        idle = [pod.number for pod in self.pods if not answered[pod.port]]
        surprises = list(self._surprises())
        return [
            _none("failed requests = 0", _counted(failed)),
            Criterion("wrong answers = 0", f"{wrong:,}", not wrong),
            Criterion("pods killed after the grace period = 0", f"{kills}", not kills),
            _none("containers restarted, or unready = 0", _counted(Counter(faults))),
            _none("exit codes other than 0 = 0", _codes(codes)),
            _none("pods that answered nothing = 0", ", ".join(map(str, idle))),
            _none("unforeseen errors in the logs = 0", "; ".join(surprises)),
        ]

    def _surprises(self) -> Iterable[str]:
        for pod in self.pods:
            text = pod.log(self.folder).read_text(errors="replace")
            for found in _SURPRISE.findall(text)[:3]:
                yield f"pod {pod.number}: {found[:200]}"


def show(console: Console, run: Run) -> None:
    """Print the tables, then the criteria, then the first failures."""
    title = f"Rolling restarts: {run.restarts}"
    clients = Table(title=title, title_justify="left")
    clients.add_column("clients")
    for head in ("requests", "failed", "wrong", "p50 ms", "p99 ms", "longest ms"):
        clients.add_column(head, justify="right")
    for record in run.records:
        clients.add_row(*_row(record.name, [record]))
    clients.add_section()
    clients.add_row(*_row("all", run.records))
    console.print(clients)
    console.print(_pods(run.pods))
    for name, measured, is_met in run.criteria():
        verdict = "[green]PASS[/]" if is_met else "[bold red]FAIL[/]"
        line = escape(f"{name}; measured: {measured}")
        console.print(f"{verdict} {line}", soft_wrap=True)
    for record in run.records:
        for example in record.examples:
            console.print(f"     {escape(example)}", soft_wrap=True)


def _pods(pods: Sequence[Pod]) -> Table:
    table = Table(title=f"Pods: {len(pods)}", title_justify="left")
    table.add_column("time")
    for head in ("p50 s", "p99 s", "longest s"):
        table.add_column(head, justify="right")
    started = [pod.start_seconds for pod in pods if pod.start_seconds]
    rows = {
        "start to ready": started,
        "SIGTERM to exit": [pod.end_seconds for pod in pods],
    }
    for name, seconds in rows.items():
        table.add_row(name, *(f"{each:.1f}" for each in _times(seconds)))
    return table


def _row(name: str, records: Sequence[Record]) -> list[str]:
    seconds = array("d")
    for record in records:
        seconds.extend(record.seconds)
    failed = sum(record.failed.total() for record in records)
    return [
        name,
        f"{sum(record.requests for record in records):,}",
        f"{failed:,}",
        f"{sum(record.wrong for record in records):,}",
        *(f"{1000 * each:.1f}" for each in _times(seconds)),
    ]


def _times(seconds: Sequence[float]) -> list[float]:
    """Find how long half, 99 % and all of some durations are at most, in seconds."""
    found: list[float] = np.quantile(seconds or [math.nan], (0.5, 0.99, 1)).tolist()
    return found


def _none(name: str, found: str) -> Criterion:
    return Criterion(name, found or "0", not found)


def _counted(found: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in found.most_common())


def _codes(codes: Counter[int]) -> str:
    return _counted(Counter({f"code {code}:": n for code, n in codes.items() if code}))
