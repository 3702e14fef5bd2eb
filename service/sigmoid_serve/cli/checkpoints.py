"""The command `inspect`, and the options of commands that read one checkpoint."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from sigmoid_models.intake.named import Named
from sigmoid_serve.cli.values import ACTIVATION_HELP, read_functions

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

# The file is read and shown, but not served as it is.
_NOT_SERVED: Final = 1


def inspect(
    checkpoint: Checkpoint,
    activation: Activation = None,
    is_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document, for programs.")
    ] = False,
) -> None:
    """Show what a checkpoint holds, and whether its golden rows come out right.

    Of a file that leaves something open, what it holds and what is to be named; it ends
    with 1 there, and where golden rows come out wrong.
    """
    from sigmoid_models.checkpoint import (
        CheckpointError,
        describe_checkpoint,
        load_checkpoint,
    )
    from sigmoid_serve.cli import terminal
    from sigmoid_serve.cli.cards import document
    from sigmoid_serve.cli.cards.table import checkpoint_table, description_table
    from sigmoid_serve.engine.device import resolve_device, use_one_thread
    from sigmoid_serve.engine.engine import Engine

    use_one_thread()
    named = Named(activation=read_functions(activation))
    try:
        loaded = load_checkpoint(checkpoint, named=named)
    except CheckpointError:
        description = describe_checkpoint(checkpoint, named)
        if description is None or not description.questions:
            raise
        if is_json:
            _print_json(document.description_document(checkpoint, description))
        else:
            _print_tables(description_table(checkpoint, description))
        raise typer.Exit(_NOT_SERVED) from None
    engine = Engine(loaded, resolve_device("cpu"), 4096)
    worst, fault = engine.golden_check()
    if is_json:
        _print_json(document.card_document(checkpoint, loaded, worst, fault))
    else:
        card = loaded.card
        tables = [checkpoint_table(checkpoint, loaded, fault)]
        if card.metrics:
            tables.append(terminal.metrics_table(card))
        if card.training:
            tables.append(terminal.gradients_table(card))
        _print_tables(*tables)
    if fault:
        raise typer.Exit(_NOT_SERVED)


def _print_json(document: dict[str, Any]) -> None:
    import json

    # Of bytes, which no locale changes.
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2).encode())


def _print_tables(*tables: Any) -> None:
    from sigmoid_serve.cli.terminal import text_console

    console = text_console()
    for table in tables:
        console.print(table)
