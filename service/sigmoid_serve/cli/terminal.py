"""What the commands show in a terminal: tables and a progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
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
