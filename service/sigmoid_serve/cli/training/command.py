"""The command that trains a network and writes its checkpoint."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from sigmoid_models.messages import UserError
from sigmoid_serve.cli.saving import check_name, check_report, proposed_name, save
from sigmoid_serve.cli.table_options import Decimal, Header
from sigmoid_serve.cli.training import options as given_as
from sigmoid_serve.cli.training.outcome import Outcome, show_stopped, show_trained
from sigmoid_serve.cli.training.source import Source, check_source, read_source

if TYPE_CHECKING:
    from sigmoid_models.training.datasets import Dataset
    from sigmoid_models.training.fit import Trained
    from sigmoid_models.training.options import TrainingOptions
    from sigmoid_models.training.split import Given


class Wanted(NamedTuple):
    """What is to come out.

    Attributes:
        checkpoint: Where it is written.
        report: Where the page is written, if there is to be one.
        is_json: Whether what is printed is one JSON document.
    """

    checkpoint: Path
    report: Path | None
    is_json: bool


def train(
    data: given_as.Data,
    target: given_as.Target = None,
    drop: given_as.Drop = None,
    positive: given_as.Positive = None,
    validation: given_as.ValidationFile = None,
    test: given_as.TestFile = None,
    decimal: Decimal = None,
    header: Header = None,
    output: given_as.Output = None,
    report: given_as.Report = None,
    is_json: given_as.AsJson = False,
    model: given_as.Kind = "shallow",
    layers: given_as.Layers = None,
    hidden: given_as.Hidden = 64,
    init: given_as.Init = "sigmoid",
    class_weights: given_as.ClassWeights = None,
    seed: given_as.Seed = 0,
    epochs: given_as.Epochs = 200,
    patience: given_as.Patience = 20,
    learning_rate: given_as.LearningRate = 5e-3,
    batch_rows: given_as.BatchRows = 32,
    threads: given_as.Threads = None,
    device: given_as.Device = "cpu",
) -> None:
    """Train a network on real data, measure it, and write its checkpoint.

    Ctrl-C keeps the best network so far; pressed again, it ends at once.
    """
    source = Source(
        data, target, tuple(drop or ()), positive, validation, test, decimal, header
    )
    path = output or Path(f"{proposed_name(data)}.safetensors")
    check_source(source)
    if layers is not None and model == "shallow":
        raise typer.BadParameter("is for --model deep", param_hint="--layers")
    check_report(report)
    _require_scikit_learn()
    check_name(path)
    from sigmoid_models.training.options import TrainingOptions

    options = TrainingOptions(
        model=model,
        hidden=hidden,
        layers=layers or 5,
        seed=seed,
        init=init,
        class_weights=class_weights,
        epochs=epochs,
        patience=patience,
        learning_rate=learning_rate,
        batch_rows=batch_rows,
        threads=threads,
        device=_device(device),
    )
    _run(source, options, Wanted(path, report, is_json))


def _run(source: Source, options: "TrainingOptions", wanted: Wanted) -> None:
    """Read the data, train, write what is wanted, and report."""
    dataset, given = read_source(source)
    for note in dataset.notes:
        typer.echo(f"note: {note}", err=True)
    with first_interrupt() as is_stopped:
        trained = _fit(dataset, options, given, is_stopped)
        outcome = Outcome(
            wanted.checkpoint,
            trained,
            dataset,
            options,
            wanted.report,
            is_replaced=wanted.checkpoint.exists(),
        )
        save(wanted.checkpoint, trained.network, trained.card)
        outcome.save_report()
        if is_stopped():
            show_stopped(outcome, is_json=wanted.is_json)
            raise typer.Exit(130)
    show_trained(outcome, is_json=wanted.is_json)


@contextmanager
def first_interrupt() -> Iterator[Callable[[], bool]]:
    """Have a first Ctrl-C noted rather than raised; yields what tells of it."""
    is_pressed = False

    def note(*_: Any) -> None:
        nonlocal is_pressed
        is_pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.getsignal(signal.SIGINT)
    # A shell that starts a command in the background has it ignored.
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: is_pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _fit(
    dataset: "Dataset",
    options: "TrainingOptions",
    given: "Given",
    is_stopped: Callable[[], bool],
) -> "Trained":
    from sigmoid_models.training.epochs import StoppedError, Watch
    from sigmoid_models.training.fit import train as fit
    from sigmoid_serve.cli.terminal import training_progress

    try:
        with training_progress(options.epochs) as on_epoch:
            return fit(dataset, options, Watch(on_epoch, is_stopped), given)
    except StoppedError as error:
        typer.echo(f"sigmoid-serve: {error}; nothing was written", err=True)
        raise typer.Exit(130) from None


def _require_scikit_learn() -> None:
    try:
        import sigmoid_models.training.fit as _  # noqa: F401
    except ModuleNotFoundError as error:
        missing = (error.name or "scikit-learn").partition(".")[0]
        raise UserError(
            f"training needs {missing}: pip install 'sigmoid-serve[train]'"
        ) from None


def _device(setting: str) -> str:
    from sigmoid_serve.configuration.settings import read_settings
    from sigmoid_serve.engine.device import resolve_device

    return str(resolve_device(read_settings(device=setting).device))
