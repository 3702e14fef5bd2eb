"""The command line: serve, key, doctor, train, predict, inspect."""

import csv
import logging
import signal
import sys
from contextlib import nullcontext
from importlib.metadata import version as distribution_version
from inspect import Parameter, Signature
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import typer
from rich.console import Console

from sigmoid_models.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from sigmoid_models.training.datasets import BUNDLED, Dataset, DatasetError, read_table
from sigmoid_serve.cli import terminal
from sigmoid_serve.configuration.settings import (
    ServingError,
    Settings,
    SettingsError,
    ignored_variables,
    read_settings,
    shown_default,
)
from sigmoid_serve.engine.device import DeviceError, resolve_device, use_one_thread
from sigmoid_serve.http.authentication import KeysError, new_key
from sigmoid_serve.monitoring.line_writer import exit_at_once, line_writer

app = typer.Typer(
    name="sigmoid-serve",
    help="Serve trained sigmoid classifiers over HTTP.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class UsageError(Exception):
    """A command that cannot be carried out as it was given."""


Checkpoint = Annotated[Path, typer.Argument(help="A .safetensors, .pt or .pth file.")]
Device = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda or cuda:N.", show_default="auto")
]


def main() -> None:
    """Run the command line; what the user can mend is told in one sentence."""
    try:
        app()
    except (
        CheckpointError,
        DatasetError,
        DeviceError,
        KeysError,
        ServingError,
        SettingsError,
        UsageError,
        FloatingPointError,
        OSError,
    ) as error:
        line_writer().write(
            f"sigmoid-serve: {error}\n".encode(errors="backslashreplace")
        )
        sys.exit(1)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(distribution_version("sigmoid-serve"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show it."
        ),
    ] = False,
) -> None:
    pass


def _serve(checkpoints: list[Path] | None = None, **options: Any) -> None:
    """Serve models over HTTP."""
    settings = read_settings(**options)
    # As process 1 of a container nothing would end this process while it starts; and
    # as long as nothing was let in, nothing is lost.
    signal.signal(signal.SIGTERM, lambda *_: exit_at_once(0))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from sigmoid_serve.monitoring.logs import configure_logs

    configure_logs(settings.log_format)
    logger = logging.getLogger("sigmoid_serve")
    for sentence in ignored_variables():
        logger.warning("%s", sentence)
    from sigmoid_serve.sockets.certificates import tls_context

    tls_context(settings)  # a fault is told before anything is started
    if settings.workers == 1:
        from sigmoid_serve.process.single import run_single_process

        run_single_process(settings, checkpoints or ())
    else:
        from sigmoid_serve.process.supervisor import Supervisor

        Supervisor(settings, checkpoints or ()).run()


def _serve_parameters() -> list[Parameter]:
    """Make an option of every setting."""
    argument = typer.Argument(
        metavar="[CHECKPOINT ...]",
        help="Files, or folders NAME/VERSION/model.safetensors; NAME=PATH gives one "
        "another name. Without any, what SIGMOID_MODELS names, else the pretrained "
        "models.",
    )
    parameters = [
        Parameter(
            "checkpoints",
            Parameter.POSITIONAL_OR_KEYWORD,
            default=None,
            annotation=Annotated[list[Path] | None, argument],
        )
    ]
    for name, field in Settings.model_fields.items():
        if name == "models":  # these are the arguments
            continue
        default = shown_default(name).strip("`")
        option = typer.Option(help=field.description, show_default=default)
        kind = next(
            kind
            for kind in (bool, int, float, str)
            if kind in (field.annotation, *get_args(field.annotation)) or kind is str
        )
        parameters.append(
            Parameter(
                name,
                Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[kind | None, option],
            )
        )
    return parameters


_parameters = _serve_parameters()
_serve.__signature__ = Signature(_parameters)  # type: ignore[attr-defined]
_serve.__annotations__ = {p.name: p.annotation for p in _parameters}
app.command("serve")(_serve)


@app.command()
def key(
    name: Annotated[str, typer.Argument(help="Whose key it is, for the log.")],
    admin: Annotated[
        bool, typer.Option("--admin", help="It also opens what changes the models.")
    ] = False,
) -> None:
    """Make an API key: print it, and below it the line for the file of keys.

    The key is shown this once; the line, for the file of SIGMOID_API_KEYS_FILE, has
    only its hash.
    """
    made, line = new_key(name, is_admin=admin)
    print(made, line, sep="\n")
    if sys.stdout.isatty():
        print(
            "The first line is the key, for Authorization: Bearer KEY. Append the "
            "second to the file of SIGMOID_API_KEYS_FILE.",
            file=sys.stderr,
        )


@app.command()
def doctor() -> None:
    """Show what a server would find on this machine, and what is likely wrong."""
    from sigmoid_serve.diagnostics.doctor import report

    Console().print(report(read_settings()))


@app.command()
def train(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATASET_OR_CSV", help=f"{', '.join(BUNDLED)}, or a CSV file."
        ),
    ],
    target: Annotated[
        str | None, typer.Option(help="The CSV's column that names the class.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Checkpoint.", show_default="DATASET.safetensors"),
    ] = None,
    model: Annotated[
        Literal["shallow", "deep"], typer.Option(help="One hidden layer, or more.")
    ] = "shallow",
    layers: Annotated[
        int,
        typer.Option(min=1, max=1000, help="Of deep: hidden layers after the first."),
    ] = 5,
    hidden: Annotated[
        int, typer.Option(min=1, max=65536, help="Units of each hidden layer.")
    ] = 64,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Of split, weights and order.")
    ] = 0,
    init: Annotated[
        Literal["sigmoid", "default"],
        typer.Option(help="Weights suited to the sigmoid, or PyTorch's default."),
    ] = "sigmoid",
    epochs: Annotated[int, typer.Option(min=1, help="At most.")] = 200,
    patience: Annotated[
        int, typer.Option(min=1, help="Epochs without a better validation loss.")
    ] = 20,
    learning_rate: Annotated[
        float, typer.Option(min=1e-9, max=10, help="Of Adam.")
    ] = 5e-3,
    batch_rows: Annotated[int, typer.Option(min=1, help="Rows per step.")] = 32,
) -> None:
    """Train a network on real data and write its checkpoint."""
    try:
        from sigmoid_models.training.fit import TrainingOptions
        from sigmoid_models.training.fit import train as fit
    except ModuleNotFoundError as error:
        missing = (error.name or "scikit-learn").partition(".")[0]
        raise UsageError(
            f"training needs {missing}: pip install 'sigmoid-serve[train]'"
        ) from None
    path = output or Path(f"{Path(data).stem}.safetensors")
    if path.suffix != ".safetensors":
        raise UsageError(f"{path}: the checkpoint must end in .safetensors")
    options: TrainingOptions = TrainingOptions(
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
    dataset = _dataset(data, target)
    with terminal.training_progress(epochs) as on_epoch:
        trained = fit(dataset, options, on_epoch)
    try:
        save_checkpoint(path, trained.network, trained.card)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}; what was there "
            "before is unchanged; mend that, or choose another place with --output"
        ) from None
    console = Console(markup=False)  # names may hold brackets
    console.print(terminal.metrics_table(trained.card))
    console.print(terminal.gradients_table(trained.card))
    console.print(f"wrote {path}", highlight=False, soft_wrap=True)


@app.command()
def predict(
    checkpoint: Checkpoint,
    data: Annotated[Path, typer.Argument(metavar="DATA.csv", help="Rows of features.")],
    output: Annotated[
        Path | None, typer.Option(help="CSV to write.", show_default="standard output")
    ] = None,
    device: Device = None,
) -> None:
    """Classify the rows of a CSV: a label and probabilities for each, as CSV.

    Columns are found by the model's feature names, where it has them, else all columns
    are taken in order.
    """
    from sigmoid_models.probabilities import labels, probabilities
    from sigmoid_serve.engine.engine import Engine, RowError

    settings = read_settings(device=device)
    use_one_thread()
    loaded = load_checkpoint(checkpoint)
    table, card = read_table(data), loaded.card
    names = card.features or table.header
    if len(names) != card.architecture.features:
        raise UsageError(
            f"{data}: the model takes {card.architecture.features} features, "
            f"the header has {len(names)} columns"
        )
    engine = Engine(loaded, resolve_device(settings.device), settings.max_batch_rows)
    fault = engine.golden_fault()
    if fault:
        raise UsageError(f"{checkpoint}: {fault}")
    try:
        logits = engine.logits(table.numbers(names))
    except RowError as error:
        raise UsageError(f"{data}: record {error.index[0] + 2}: {error}") from None
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


@app.command()
def inspect(checkpoint: Checkpoint) -> None:
    """Show what a checkpoint holds, and whether its golden rows come out right."""
    from sigmoid_serve.engine.engine import Engine

    use_one_thread()
    loaded = load_checkpoint(checkpoint)
    fault = Engine(loaded, resolve_device("cpu"), 4096).golden_fault()
    console = Console(markup=False)  # names may hold brackets
    console.print(terminal.card_table(checkpoint, loaded, fault))
    if loaded.card.metrics:
        console.print(terminal.metrics_table(loaded.card))
    if loaded.card.training:
        console.print(terminal.gradients_table(loaded.card))


def _dataset(data: str, target: str | None) -> Dataset:
    from sigmoid_models.training.datasets import load_bundled, load_csv

    if data in BUNDLED:
        if target is not None:
            raise UsageError(f"--target is for CSV files, and {data} is a bundled set")
        return load_bundled(data)
    if target is None and not Path(data).is_file():
        raise UsageError(f"{data} is neither a file nor one of {', '.join(BUNDLED)}")
    if target is None:
        raise UsageError(f"{data}: --target COLUMN must name the column of the classes")
    return load_csv(Path(data), target)
