"""What the commands show in a terminal: tables and a progress bar."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from sigmoid_models.training.fit import Epoch

METRICS = {
    "accuracy": ("accuracy", "share of rows whose label is right"),
    "log_loss": ("log-loss", "mean binary cross-entropy per output, nats"),
    "brier": ("Brier", "mean squared error of the probabilities"),
    "ece": ("ECE", "expected calibration error, 15 bins"),
    "roc_auc": ("ROC-AUC", "mean over the outputs"),
}


@contextmanager
def training_progress(epochs: int) -> Iterator[Callable[["Epoch"], None]]:
    """Show a bar with the latest metrics; yields what to call after each epoch."""
    columns = (
        TextColumn("epoch {task.completed}/{task.total}"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
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
    rows = card.training.rows[2] if card.training else "the"
    table = Table(title=f"On {rows} test rows", title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("meaning", style="dim")
    values = card.metrics.model_dump() if card.metrics else {}
    for name, value in values.items():
        label, meaning = METRICS[name]
        table.add_row(label, f"{value:.4f}", meaning)
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
