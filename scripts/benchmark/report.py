"""Shows the results in the terminal, and writes them as JSON and into the page."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from benchmark import BenchmarkError
from benchmark.figures import Figures, nested
from benchmark.table import Table
from benchmark.target import Target

_SECTION = re.compile(r"(?<=<!-- results -->\n).*(?=<!-- /results -->)", re.DOTALL)
_NUMERIC = re.compile(r"[\d.,≥≤> ÷-]*( to [\d.,]+)?( ms)?")


def show(console: Console, table: Table) -> None:
    """Print a table."""
    shown = RichTable(title=table.title, title_justify="left")
    for index, name in enumerate(table.head):
        shown.add_column(name, justify="right" if _is_numeric(table, index) else "left")
    for row in table.rows:
        style = "bold red" if row[-1] == "no" else "bold" if "ours" in row[:2] else None
        shown.add_row(*row, style=style)
    console.print(shown)


def write_json(
    path: Path,
    machine: Mapping[str, str],
    settings: Mapping[str, object],
    figures: Figures,
    targets: Sequence[Target],
) -> None:
    """Write everything that was measured."""
    results = {
        "machine": machine,
        "settings": settings,
        "figures": nested(figures),
        "targets": [{**target._asdict(), "met": target.met} for target in targets],
    }
    text = json.dumps(results, indent=1, ensure_ascii=False)
    # A list of rounds is easier to read on one line.
    text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", _on_one_line, text)
    path.write_text(text + "\n", encoding="utf-8")


def section(
    machine: Mapping[str, str],
    settings: Mapping[str, object],
    tables: Sequence[Table],
    plots: Mapping[str, str],
) -> str:
    """Write the results as Markdown.

    Args:
        machine: Facts by name.
        settings: Of the run, by name.
        tables: The targets first.
        plots: Paths, seen from the page, by what they show.
    """
    parts = [
        "; ".join(f"{name} {value}" for name, value in settings.items()) + ".",
        _markdown(Table("Machine", ["", ""], [[*fact] for fact in machine.items()])),
        *map(_markdown, tables),
        *(f"![{shown}]({path})" for shown, path in plots.items()),
    ]
    return "\n\n".join(parts) + "\n"


def rewrite_page(page: Path, text: str) -> None:
    """Put a text between the page's two markers of results; make a page without one.

    Raises:
        BenchmarkError: The markers are not there.
    """
    empty = "<!-- results -->\n<!-- /results -->\n"
    old = page.read_text(encoding="utf-8") if page.exists() else empty
    if not _SECTION.search(old):
        raise BenchmarkError(f"{page.name} has no markers of results")
    page.write_text(_SECTION.sub(lambda _: text, old), encoding="utf-8")


def _markdown(table: Table) -> str:
    alignment = [
        "---:" if _is_numeric(table, index) else "---"
        for index in range(len(table.head))
    ]
    lines = [table.head, alignment, *table.rows]
    return "\n".join(
        [f"### {table.title}", "", *(f"| {' | '.join(line)} |" for line in lines)]
    )


def _is_numeric(table: Table, index: int) -> bool:
    return all(_NUMERIC.fullmatch(row[index]) for row in table.rows)


def _on_one_line(found: re.Match[str]) -> str:
    return "[" + re.sub(r",\s+", ", ", found[1]) + "]"
