"""The command that measures a checkpoint on rows whose classes are known."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sigmoid_models.intake.named import Named
from sigmoid_models.messages import UserError
from sigmoid_serve.cli.saving import check_report, save_report
from sigmoid_serve.cli.table_options import Decimal, Header, read_options
from sigmoid_serve.cli.values import ACTIVATION_HELP, read_functions

if TYPE_CHECKING:
    from sigmoid_models.card import ModelCard
    from sigmoid_models.checkpoint import Checkpoint
    from sigmoid_models.evaluation.evaluation import Evaluation
    from sigmoid_models.training.labelled import Labelled

CheckpointFile = Annotated[
    Path,
    typer.Argument(
        metavar="CHECKPOINT",
        help="A .safetensors, .pt or .pth file.",
        show_default=False,
    ),
]
Data = Annotated[
    Path,
    typer.Argument(metavar="LABELLED_FILE", help="CSV or Parquet: rows with a class."),
]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="The column that names the class.",
        show_default="the one that is no feature",
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(metavar="FILE.html", help="A page with the figures and curves."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
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


def evaluate(
    checkpoint: CheckpointFile,
    data: Data,
    target: Target = None,
    decimal: Decimal = None,
    header: Header = None,
    report: Report = None,
    is_json: AsJson = False,
    device: Device = None,
    activation: Activation = None,
) -> None:
    """Measure a model on rows whose classes are known, and report as train does.

    Columns are found by the model's feature names, where it has them; others pass.
    """
    check_report(report)
    if str(data) == "-":
        raise typer.BadParameter(
            "is read more than once, which standard input is not; give a file",
            param_hint="LABELLED_FILE",
        )
    _require_scikit_learn()
    named = Named(activation=read_functions(activation))
    from sigmoid_models.checkpoint import load_checkpoint
    from sigmoid_models.training.labelled import read_labelled

    loaded = load_checkpoint(checkpoint, named=named)
    if loaded.card.task == "multilabel":
        raise UserError(
            f"{checkpoint}: the task is multilabel, where a row has several classes or "
            "none; evaluate measures models whose rows have one class each"
        )
    rows = read_labelled(data, loaded.card, target, read_options(decimal, header))
    for note in rows.notes:
        typer.echo(f"note: {note}", err=True)
    evaluation = _evaluated(checkpoint, loaded, rows, device)
    if report:
        _save_page(report, checkpoint, loaded.card, rows, evaluation)
    if is_json:
        from sigmoid_serve.cli import terminal

        document = {
            "checkpoint": str(checkpoint),
            "sha256": loaded.sha256,
            "data": str(data),
            "target": rows.target,
            "report": str(report) if report else None,
            "notes": list(rows.notes),
            "evaluation": evaluation.document(),
        }
        terminal.print_json(document)
        return
    _show(evaluation, rows, report)


def _require_scikit_learn() -> None:
    try:
        import sklearn as _  # noqa: F401
    except ModuleNotFoundError:
        raise UserError(
            "evaluate needs scikit-learn: pip install 'sigmoid-serve[train]'"
        ) from None


def _evaluated(
    path: Path, loaded: "Checkpoint", rows: "Labelled", device: str | None
) -> "Evaluation":
    """Ask the engine, as a server would, and measure what it says."""
    import numpy as np

    from sigmoid_models.evaluation.evaluation import evaluate, scored_logits
    from sigmoid_serve.configuration.settings import read_settings
    from sigmoid_serve.engine.device import resolve_device, use_one_thread
    from sigmoid_serve.engine.engine import Engine, RowError

    settings = read_settings(device=device)
    use_one_thread()
    engine = Engine(loaded, resolve_device(settings.device), settings.max_batch_rows)
    fault = engine.golden_fault()
    if fault:
        raise UserError(f"{path}: {fault}")
    dataset = rows.dataset
    try:
        logits = engine.logits(dataset.rows).astype(np.float64)
    except RowError as error:
        place = f"row {error.index[0] + 1}"
        raise UserError(f"{dataset.name}: {place}: {error}") from None
    card = loaded.card.model_copy(update={"classes": rows.classes})
    return evaluate(scored_logits(logits, card, dataset.targets))


def _save_page(
    report: Path,
    checkpoint: Path,
    card: "ModelCard",
    rows: "Labelled",
    evaluation: "Evaluation",
) -> None:
    from sigmoid_models.evaluation.page import Report, page

    sizes = "-".join(map(str, card.architecture.sizes))
    facts = {
        "checkpoint": str(checkpoint),
        "network": f"{card.architecture.kind} {sizes}",
        "task": card.task,
        "column of the classes": rows.target,
    }
    if card.task == "binary":
        facts["threshold"] = str((card.thresholds or (0.5,))[0])
    if card.training:
        facts["trained on"] = card.training.dataset
    shown = Report(
        title=checkpoint.stem,
        subtitle=f"Measured on {evaluation.rows:,} rows of {rows.dataset.name}",
        evaluation=evaluation,
        facts=facts,
        notes=rows.notes,
    )
    save_report(report, page(shown))


def _show(evaluation: "Evaluation", rows: "Labelled", report: Path | None) -> None:
    from sigmoid_serve.cli import terminal

    console = terminal.text_console()
    terminal.print_evaluation(console, evaluation, f"rows of {rows.dataset.name}")
    if report:
        console.print(f"wrote {report}", soft_wrap=True)
