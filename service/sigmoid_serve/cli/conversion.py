"""The command that makes a checkpoint of a file of weights: `convert`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sigmoid_models.intake.named import Named
from sigmoid_models.messages import UserError
from sigmoid_serve.cli.saving import check_name, save
from sigmoid_serve.cli.values import (
    ACTIVATION_HELP,
    read_functions,
    read_names,
    read_probabilities,
)

if TYPE_CHECKING:
    from sigmoid_models.conversion.converter import Converted

Source = Annotated[Path, typer.Argument(help="A file of weights, or a checkpoint.")]
Output = Annotated[
    Path, typer.Option("--output", "-o", help="The .safetensors file to write.")
]
Activation = Annotated[str | None, typer.Option(help=ACTIVATION_HELP)]
Layers = Annotated[
    str | None, typer.Option(help="Names of the linear layers, first to last.")
]
State = Annotated[
    str | None, typer.Option(help="Which of several sets of weights to take.")
]
Place = Annotated[
    Literal["before", "after"] | None,
    typer.Option(help="Where a BatchNorm stands: before or after the function."),
]
Task = Annotated[
    Literal["binary", "multiclass", "multilabel"] | None,
    typer.Option(
        help="What is decided.", show_default="binary for one output, else multiclass"
    ),
]
Link = Annotated[
    Literal["sigmoid", "softmax"] | None,
    typer.Option(help="What makes probabilities of logits.", show_default="sigmoid"),
]
Features = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,…|@FILE", help="Names of the inputs; of a file, one per line."
    ),
]
Classes = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,…|@FILE",
        help="Names of the classes, in the order of the outputs; of one output, that "
        "of probability 0 first.",
    ),
]
Positive = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="The class whose probability the one output gives."
    ),
]
ScalerFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Mean and scale of each feature, as JSON or CSV; served are raw features.",
    ),
]
Threshold = Annotated[
    str | None,
    typer.Option(
        metavar="P", help="Probability from which a class counts; or one per output."
    ),
]
Expect = Annotated[
    Path | None,
    typer.Option(
        metavar="ROWS.csv",
        help="Features, and the logits or probabilities that your own program gives: "
        "they must come out, and are checked at each start from then on.",
    ),
]


def convert(
    source: Source,
    output: Output,
    activation: Activation = None,
    layers: Layers = None,
    state: State = None,
    batchnorm: Place = None,
    task: Task = None,
    link: Link = None,
    features: Features = None,
    classes: Classes = None,
    positive: Positive = None,
    scaler: ScalerFile = None,
    threshold: Threshold = None,
    expect: Expect = None,
) -> None:
    """Write a checkpoint that says all that a server must know of a file of weights."""
    check_name(output)
    if output.exists() and source.exists() and output.samefile(source):
        raise UserError(f"{output} is the file to convert; write to another one")
    named = Named(
        activation=read_functions(activation),
        layers=read_names(layers, "--layers"),
        state=state,
        batchnorm=batchnorm,
        task=task,
        link=link,
    )
    names = read_names(features, "--features"), read_names(classes, "--classes")
    thresholds = read_probabilities(threshold, "--threshold")
    from sigmoid_models.conversion.converter import Additions, convert_checkpoint
    from sigmoid_serve.engine.device import use_one_thread

    use_one_thread()
    additions = Additions(*names, positive, scaler, thresholds, expect)
    converted = convert_checkpoint(source, named, additions)
    save(output, converted.network, converted.card)
    _show(output, converted)


def _show(output: Path, converted: "Converted") -> None:
    from sigmoid_serve.cli.cards.table import card_table
    from sigmoid_serve.cli.terminal import text_console

    console = text_console()
    console.print(card_table(output, converted.card))
    for note in converted.notes:
        console.print(f"note: {note}", soft_wrap=True)
    console.print(f"wrote {output}", soft_wrap=True)
