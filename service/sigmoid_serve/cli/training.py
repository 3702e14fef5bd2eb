"""The command that trains a network and writes its checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sigmoid_models.messages import UserError
from sigmoid_models.training.bundled import BUNDLED
from sigmoid_serve.cli.saving import check_name, save

if TYPE_CHECKING:
    from sigmoid_models.training.datasets import Dataset
    from sigmoid_models.training.fit import Trained

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATASET_OR_CSV", help=f"{', '.join(BUNDLED)}, or a CSV file."
    ),
]
Target = Annotated[
    str | None, typer.Option(help="The CSV's column that names the class.")
]
Output = Annotated[
    Path | None,
    typer.Option(help="Checkpoint.", show_default="DATASET.safetensors"),
]
Kind = Annotated[
    Literal["shallow", "deep"], typer.Option(help="One hidden layer, or more.")
]
Layers = Annotated[
    int,
    typer.Option(min=1, max=1000, help="Of deep: hidden layers after the first."),
]
Hidden = Annotated[
    int, typer.Option(min=1, max=65536, help="Units of each hidden layer.")
]
Seed = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, help="Of split, weights and order.")
]
Init = Annotated[
    Literal["sigmoid", "default"],
    typer.Option(help="Weights suited to the sigmoid, or PyTorch's default."),
]
Epochs = Annotated[int, typer.Option(min=1, help="At most.")]
Patience = Annotated[
    int, typer.Option(min=1, help="Epochs without a better validation loss.")
]
LearningRate = Annotated[float, typer.Option(min=1e-9, max=10, help="Of Adam.")]
BatchRows = Annotated[int, typer.Option(min=1, help="Rows per step.")]


def train(
    data: Data,
    target: Target = None,
    output: Output = None,
    model: Kind = "shallow",
    layers: Layers = 5,
    hidden: Hidden = 64,
    seed: Seed = 0,
    init: Init = "sigmoid",
    epochs: Epochs = 200,
    patience: Patience = 20,
    learning_rate: LearningRate = 5e-3,
    batch_rows: BatchRows = 32,
) -> None:
    """Train a network on real data and write its checkpoint."""
    path = output or Path(f"{Path(data).stem}.safetensors")
    trained = _fit(
        path,
        data,
        target,
        model=model,
        layers=layers,
        hidden=hidden,
        seed=seed,
        init=init,
        epochs=epochs,
        patience=patience,
        learning_rate=learning_rate,
        batch_rows=batch_rows,
    )
    save(path, trained.network, trained.card)
    _show(path, trained)


def _fit(path: Path, data: str, target: str | None, **options: Any) -> "Trained":
    from sigmoid_serve.cli import terminal

    try:
        from sigmoid_models.training.fit import TrainingOptions
        from sigmoid_models.training.fit import train as fit
    except ModuleNotFoundError as error:
        missing = (error.name or "scikit-learn").partition(".")[0]
        raise UserError(
            f"training needs {missing}: pip install 'sigmoid-serve[train]'"
        ) from None
    check_name(path)
    chosen = TrainingOptions(**options)
    dataset = _dataset(data, target)
    with terminal.training_progress(chosen.epochs) as on_epoch:
        return fit(dataset, chosen, on_epoch)


def _dataset(data: str, target: str | None) -> "Dataset":
    from sigmoid_models.training.datasets import load_bundled, load_csv

    if data in BUNDLED:
        if target is not None:
            raise UserError(f"--target is for CSV files, and {data} is a bundled set")
        return load_bundled(data)
    if target is None and not Path(data).is_file():
        raise UserError(f"{data} is neither a file nor one of {', '.join(BUNDLED)}")
    if target is None:
        raise UserError(f"{data}: --target COLUMN must name the column of the classes")
    return load_csv(Path(data), target)


def _show(path: Path, trained: "Trained") -> None:
    from rich.console import Console

    from sigmoid_serve.cli import terminal

    console = Console(markup=False)  # names may hold brackets
    console.print(terminal.metrics_table(trained.card))
    console.print(terminal.gradients_table(trained.card))
    console.print(f"wrote {path}", highlight=False, soft_wrap=True)
