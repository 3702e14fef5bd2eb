"""The options of `train`, as the command line shows them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from sigmoid_models.training.bundled import BUNDLED

_DATA, _NETWORK, _FITTING, _OUTPUT = "Data", "Network", "Training", "Output"

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATASET_OR_FILE",
        help=f"{', '.join(BUNDLED)}, or a file: CSV or Parquet.",
    ),
]
Target = Annotated[
    str | None,
    typer.Option(help="The column that names the class.", rich_help_panel=_DATA),
]
Drop = Annotated[
    list[str] | None,
    typer.Option(
        metavar="COLUMN",
        help="A column that is no feature; may be given again.",
        rich_help_panel=_DATA,
    ),
]
Positive = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Of two classes, the one whose probability is given.",
        show_default="the second by order",
        rich_help_panel=_DATA,
    ),
]
ValidationFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Rows that decide when to stop.",
        show_default="split off",
        rich_help_panel=_DATA,
    ),
]
TestFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Rows to measure on.",
        show_default="split off",
        rich_help_panel=_DATA,
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Checkpoint.",
        show_default="DATASET.safetensors",
        rich_help_panel=_OUTPUT,
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.html",
        help="A page with the figures and curves.",
        rich_help_panel=_OUTPUT,
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document.", rich_help_panel=_OUTPUT),
]
Kind = Annotated[
    Literal["shallow", "deep"],
    typer.Option(help="One hidden layer, or more.", rich_help_panel=_NETWORK),
]
Layers = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1000,
        help="Of deep: hidden layers after the first.",
        show_default="5",
        rich_help_panel=_NETWORK,
    ),
]
Hidden = Annotated[
    int,
    typer.Option(
        min=1, max=65536, help="Units of each hidden layer.", rich_help_panel=_NETWORK
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        min=0,
        max=2**32 - 1,
        help="Of split, weights and order.",
        rich_help_panel=_FITTING,
    ),
]
Init = Annotated[
    Literal["sigmoid", "default"],
    typer.Option(
        help="Weights suited to the sigmoid, or PyTorch's default.",
        rich_help_panel=_NETWORK,
    ),
]
ClassWeights = Annotated[
    Literal["balanced"] | None,
    typer.Option(
        help="Each class weighs the same; its probabilities are then no longer those "
        "of the data's shares.",
        rich_help_panel=_FITTING,
    ),
]
Epochs = Annotated[int, typer.Option(min=1, help="At most.", rich_help_panel=_FITTING)]
Patience = Annotated[
    int,
    typer.Option(
        min=1,
        help="Epochs without a better validation loss.",
        rich_help_panel=_FITTING,
    ),
]
LearningRate = Annotated[
    float, typer.Option(min=1e-9, max=10, help="Of Adam.", rich_help_panel=_FITTING)
]
BatchRows = Annotated[
    int, typer.Option(min=1, help="Rows per step.", rich_help_panel=_FITTING)
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        help="To compute with.",
        show_default="several where the network is large",
        rich_help_panel=_FITTING,
    ),
]
Device = Annotated[
    str,
    typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=_FITTING),
]
