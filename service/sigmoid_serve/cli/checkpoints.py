"""The commands that read one checkpoint: `predict` and `inspect`."""

import csv
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sigmoid_models.intake.named import Named
from sigmoid_models.messages import UserError
from sigmoid_serve.cli.values import ACTIVATION_HELP, read_functions
from sigmoid_serve.configuration.settings import read_settings

if TYPE_CHECKING:
    from sigmoid_models.card import ModelCard
    from sigmoid_models.probabilities import Float32Array
    from sigmoid_models.training.datasets import Table
    from sigmoid_serve.engine.engine import Engine

Checkpoint = Annotated[Path, typer.Argument(help="A .safetensors, .pt or .pth file.")]
Device = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", show_default="auto")
]
Activation = Annotated[
    str | None,
    typer.Option(
        envvar="SIGMOID_ACTIVATION",
        help=f"{ACTIVATION_HELP} Of a file with a card, the card's word counts.",
    ),
]


def predict(
    checkpoint: Checkpoint,
    data: Annotated[Path, typer.Argument(metavar="DATA.csv", help="Rows of features.")],
    output: Annotated[
        Path | None, typer.Option(help="CSV to write.", show_default="standard output")
    ] = None,
    device: Device = None,
    activation: Activation = None,
) -> None:
    """Classify the rows of a CSV: a label and probabilities for each, as CSV.

    Columns are found by the model's feature names, where it has them, else all columns
    are taken in order.
    """
    from sigmoid_models.checkpoint import load_checkpoint
    from sigmoid_models.training.datasets import read_table
    from sigmoid_serve.engine.device import resolve_device, use_one_thread
    from sigmoid_serve.engine.engine import Engine

    settings = read_settings(device=device)
    use_one_thread()
    named = Named(activation=read_functions(activation))
    loaded = load_checkpoint(checkpoint, named=named)
    table = read_table(data)
    names = loaded.card.features or table.header
    if len(names) != loaded.card.architecture.features:
        raise UserError(
            f"{data}: the model takes {loaded.card.architecture.features} features, "
            f"the header has {len(names)} columns"
        )
    engine = Engine(loaded, resolve_device(settings.device), settings.max_batch_rows)
    fault = engine.golden_fault()
    if fault:
        raise UserError(f"{checkpoint}: {fault}")
    _write_predictions(output, _logits(engine, table, names), loaded.card)


def _logits(engine: "Engine", table: "Table", names: tuple[str, ...]) -> "Float32Array":
    from sigmoid_serve.engine.engine import RowError

    try:
        return engine.logits(table.numbers(names))
    except RowError as error:
        record = error.index[0] + 2
        raise UserError(f"{table.path}: record {record}: {error}") from None


def _write_predictions(
    output: Path | None, logits: "Float32Array", card: "ModelCard"
) -> None:
    import numpy as np

    from sigmoid_models.probabilities import labels, probabilities

    likely = probabilities(logits, card)
    decided = np.asarray(labels(logits, likely, card))
    # One output is the probability of the second of two classes.
    classes = card.classes or tuple(map(str, range(max(2, likely.shape[1]))))
    shown = classes[-likely.shape[1] :]
    with output.open("w", newline="") if output else nullcontext(sys.stdout) as file:
        writer = csv.writer(file, lineterminator="\n")
        many = decided.ndim == 2
        heads = [f"label_{name}" for name in shown] if many else ["label"]
        writer.writerow([*heads, *(f"probability_{name}" for name in shown)])
        for decision, row in zip(decided.tolist(), likely, strict=True):
            writer.writerow([*(decision if many else [decision]), *map(str, row)])


def inspect(checkpoint: Checkpoint, activation: Activation = None) -> None:
    """Show what a checkpoint holds, and whether its golden rows come out right.

    Of a file that leaves something open, what it holds and what is to be named.
    """
    from rich.console import Console

    from sigmoid_models.checkpoint import (
        CheckpointError,
        describe_checkpoint,
        load_checkpoint,
    )
    from sigmoid_serve.cli import terminal
    from sigmoid_serve.cli.cards import table as card_table
    from sigmoid_serve.engine.device import resolve_device, use_one_thread
    from sigmoid_serve.engine.engine import Engine

    use_one_thread()
    console = Console(markup=False)  # names may hold brackets
    named = Named(activation=read_functions(activation))
    try:
        loaded = load_checkpoint(checkpoint, named=named)
    except CheckpointError:
        description = describe_checkpoint(checkpoint, named)
        if description is None or not description.questions:
            raise
        console.print(card_table.description_table(checkpoint, description))
        return
    card = loaded.card
    fault = Engine(loaded, resolve_device("cpu"), 4096).golden_fault()
    seen = {"golden rows": fault or card_table.golden_rows(card, " come out right")}
    noted = {"notes": "\n".join(loaded.notes)} if loaded.notes else {}
    more = {**seen, "SHA-256": loaded.sha256, **noted}
    console.print(card_table.card_table(checkpoint, card, more))
    if card.metrics:
        console.print(terminal.metrics_table(card))
    if card.training:
        console.print(terminal.gradients_table(card))
