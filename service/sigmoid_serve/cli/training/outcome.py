"""What the command `train` says of the network that came out."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from sigmoid_serve.cli.saving import save_report, serve_command

if TYPE_CHECKING:
    from sigmoid_models.card import Training
    from sigmoid_models.training.datasets import Dataset
    from sigmoid_models.training.fit import Trained
    from sigmoid_models.training.options import TrainingOptions


class Outcome(NamedTuple):
    """A training that gave a network, whether it was stopped or not.

    Attributes:
        path: Of the checkpoint, which is written.
        trained: The network and what is known of it.
        dataset: What it was trained on.
        options: Of the training.
        report: Where the page goes, if there is to be one.
        is_replaced: Whether another file was at `path`.
    """

    path: Path
    trained: "Trained"
    dataset: "Dataset"
    options: "TrainingOptions"
    report: Path | None
    is_replaced: bool

    @property
    def training(self) -> "Training":
        """What the card says of the training."""
        training = self.trained.card.training
        assert training is not None
        return training

    @property
    def written(self) -> str:
        """Name the checkpoint, and say whether it is in another's place."""
        return f"{'replaced' if self.is_replaced else 'wrote'} {self.path}"

    def save_report(self) -> None:
        """Write the page, where there is to be one."""
        if self.report is None:
            return
        from sigmoid_models.evaluation.losses import Losses
        from sigmoid_models.evaluation.page import Report, page

        history = self.trained.history
        losses = Losses(
            [epoch.training_loss for epoch in history],
            [epoch.validation_loss for epoch in history],
            self.training.epochs,
        )
        test = self.training.rows[2]
        shown = Report(
            title=self.path.stem,
            subtitle=f"Trained on {self.dataset.name}, measured on {test:,} test rows "
            "that training never saw",
            evaluation=self.trained.evaluation,
            losses=losses,
            facts=self._facts(),
            notes=self.dataset.notes,
        )
        save_report(self.report, page(shown))

    def _facts(self) -> dict[str, str]:
        card, options = self.trained.card, self.options
        architecture = card.architecture
        rows = "{:,} for training, {:,} for validation, {:,} for the test".format(
            *self.training.rows
        )
        sizes = "-".join(map(str, architecture.sizes))
        return {
            "network": f"{architecture.kind} {sizes}, {architecture.parameters:,} "
            "parameters",
            "features": f"{len(self.dataset.features):,}",
            "classes": f"{len(self.dataset.classes):,}",
            "rows": rows,
            "epochs": f"{len(self.trained.history)}, the best was "
            f"{self.training.epochs}{', stopped' * self.trained.is_stopped}",
            "class weights": options.class_weights or "none",
            "learning rate": f"{options.learning_rate:g}",
            "rows per step": f"{options.batch_rows:,}",
            "seed": str(options.seed),
            "initialisation": options.init,
        }

    def document(self) -> dict[str, Any]:
        """Say all of it in what JSON can hold."""
        training = self.training
        names = ("training", "validation", "test")
        return {
            "checkpoint": str(self.path),
            "replaced": self.is_replaced,
            "report": str(self.report) if self.report else None,
            "serve": serve_command(self.path),
            "stopped": self.trained.is_stopped,
            "dataset": self.dataset.name,
            "notes": list(self.dataset.notes),
            "features": list(self.dataset.features),
            "rows": dict(zip(names, training.rows, strict=True)),
            "options": asdict(self.options),
            "best_epoch": training.epochs,
            "epochs": [epoch._asdict() for epoch in self.trained.history],
            "gradient_norms": {
                "initial": list(training.gradient_norms_initial),
                "final": list(training.gradient_norms_final),
            },
            "evaluation": self.trained.evaluation.document(),
        }


def show_stopped(outcome: Outcome, *, is_json: bool) -> None:
    """Say in one line what was kept of a training that was stopped."""
    if is_json:
        from sigmoid_serve.cli import terminal

        terminal.print_json({**outcome.document(), "stopped": True})
    more = f" and {outcome.report}" if outcome.report else ""
    typer.echo(
        f"sigmoid-serve: stopped after epoch {len(outcome.trained.history)}; "
        f"{outcome.written}{more} with the best network so far, that of epoch "
        f"{outcome.training.epochs}",
        err=True,
    )


def show_trained(outcome: Outcome, *, is_json: bool) -> None:
    """Show how good the network is, and how it is served."""
    from sigmoid_serve.cli import terminal

    if is_json:
        terminal.print_json(outcome.document())
        return
    console = terminal.text_console()
    terminal.print_evaluation(console, outcome.trained.evaluation, "test rows")
    console.print(terminal.gradients_table(outcome.trained.card))
    console.print(outcome.written, soft_wrap=True)
    if outcome.report:
        console.print(f"wrote {outcome.report}", soft_wrap=True)
    command = serve_command(outcome.path)
    console.print(f"serve it: {command}", soft_wrap=True)
