"""What the commands show in a terminal: tables and a progress bar."""

import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from sigmoid_models.card import ModelCard
from sigmoid_models.evaluation.names import MEASURES

if TYPE_CHECKING:
    from sigmoid_models.evaluation.evaluation import Evaluation
    from sigmoid_models.training.epochs import Epoch

# More columns, or more lines, than a terminal has place for.
_MATRIX_CLASSES: Final = 10
_CLASSES_SHOWN: Final = 20
_MISTAKES_SHOWN: Final = 10


def text_console() -> Console:
    """Make what prints text: names of any characters, in any locale.

    Brackets and colons in them are none of Rich's.
    """
    # What the encoding of the terminal lacks is escaped.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return Console(markup=False, emoji=False, highlight=False)


@contextmanager
def training_progress(epochs: int) -> Iterator[Callable[["Epoch"], None]]:
    """Show a bar with the latest metrics; yields what to call after each epoch.

    It is on standard error, and only where that is a terminal.
    """
    columns = (
        TextColumn("epoch {task.completed}/{task.total}"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=epochs)

        def on_epoch(epoch: "Epoch") -> None:
            progress.update(
                task,
                completed=epoch.number,
                description=f"loss {epoch.training_loss:.4f}  "
                f"validation {epoch.validation_loss:.4f}  "
                f"accuracy {epoch.validation_accuracy:.3f}",
            )

        yield on_epoch


@contextmanager
def rows_progress(
    share: Callable[[], float], *, is_beside_rows: bool
) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far rows are, and at the end how long it took.

    Where standard error is no terminal, nothing is shown.

    Args:
        share: Says how much of the input was read, from 0 to 1; 0 if that is unknown.
        is_beside_rows: Whether the rows go to standard output: if that is a terminal
            too, only the end is told.

    Yields:
        What to call with the number of rows so far.
    """
    done = 0
    started = perf_counter()
    console = Console(stderr=True)
    columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    are_seen = is_beside_rows and sys.stdout is not None and sys.stdout.isatty()
    is_shown = sys.stderr.isatty() and not are_seen
    with Progress(
        *columns, console=console, transient=True, disable=not is_shown
    ) as progress:
        task = progress.add_task("", total=None)

        def show(rows: int) -> None:
            nonlocal done
            done = rows
            rate = rows / (perf_counter() - started)
            progress.update(
                task,
                total=1 if share() else None,
                completed=share(),
                description=f"{rows:,} rows, {rate:,.0f} per second",
            )

        yield show
    if sys.stderr.isatty():
        seconds = perf_counter() - started
        took = f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}"
        print(f"{done:,} rows in {took} s", file=sys.stderr)


def metrics_table(card: ModelCard) -> Table:
    """Show what was measured on the test rows."""
    rows = str(card.training.rows[2]) if card.training else "the"
    values = card.metrics.model_dump(exclude_none=True) if card.metrics else {}
    return _measures_table(f"On {rows} test rows", values, {})


def print_evaluation(console: Console, evaluation: "Evaluation", of: str) -> None:
    """Show how good a model is: figures, confusions, classes, warnings.

    Args:
        console: Where; names may hold brackets, so it reads no markup.
        evaluation: What was found.
        of: What the rows are, such as `test rows`.
    """
    title = f"On {evaluation.rows:,} {of}"
    console.print(_measures_table(title, evaluation.measures, evaluation.undefined))
    console.print(_classes_table(evaluation))
    console.print(_confusions_table(evaluation))
    for sentence in evaluation.warnings:
        console.print(f"warning: {sentence}", soft_wrap=True)


def _measures_table(
    title: str, values: dict[str, float], undefined: dict[str, str]
) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("meaning", style="dim")
    for name, (label, meaning) in MEASURES.items():
        if name in values:
            table.add_row(label, f"{values[name]:.4f}", meaning)
        elif name in undefined:
            table.add_row(label, "–", f"not defined: {undefined[name]}")
    return table


def _classes_table(evaluation: "Evaluation") -> Table:
    """Show the figures of each class, of very many those that are found worst."""
    shown = list(evaluation.per_class)
    title = "Per class"
    if len(shown) > _CLASSES_SHOWN:
        title = f"Per class, the {_CLASSES_SHOWN} of {len(shown)} that are found worst"
        shown.sort(key=lambda each: 2.0 if each.recall is None else each.recall)
        shown = shown[:_CLASSES_SHOWN]
    table = Table(title=title, title_justify="left")
    table.add_column("class", overflow="fold")
    for head in ("rows", "predicted", "precision", "recall", "avg. prec.", "ROC-AUC"):
        table.add_column(head, justify="right")
    for name, rows, predicted, *figures in shown:
        values = ("–" if value is None else f"{value:.4f}" for value in figures)
        table.add_row(name, f"{rows:,}", f"{predicted:,}", *values)
    return table


def _confusions_table(evaluation: "Evaluation") -> Table:
    names = [each.name for each in evaluation.per_class]
    if len(names) > _MATRIX_CLASSES:
        title = f"The {_MISTAKES_SHOWN} most frequent mistakes"
        table = Table("true class", "predicted", title=title, title_justify="left")
        table.add_column("rows", justify="right")
        for true, predicted, rows in evaluation.mistakes(_MISTAKES_SHOWN):
            table.add_row(names[true], names[predicted], f"{rows:,}")
        return table
    table = Table(title="Confusion matrix", title_justify="left")
    table.add_column("true / predicted", overflow="fold")
    for name in names:
        table.add_column(name, justify="right", overflow="fold")
    for name, line in zip(names, evaluation.matrix().tolist(), strict=True):
        table.add_row(name, *(f"{count:,}" for count in line))
    return table


def gradients_table(card: ModelCard) -> Table:
    """Show how large the gradient was in each layer, before and after training."""
    table = Table(title="Gradient norm per layer", title_justify="left")
    table.add_column("layer")
    table.add_column("at step 0", justify="right")
    table.add_column("at the end", justify="right")
    if card.training:
        initial = card.training.gradient_norms_initial
        final = card.training.gradient_norms_final
        names = ["fc1", *(f"layers.{i}" for i in range(len(initial) - 2)), "fc2"]
        for name, before, after in zip(names, initial, final, strict=True):
            table.add_row(name, f"{before:.2e}", f"{after:.2e}")
    return table


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document, in ASCII, whatever the locale."""
    typer.echo(json.dumps(document, indent=2, allow_nan=False))
