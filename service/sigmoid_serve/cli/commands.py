"""The command line: its commands, and what becomes of their errors.

To show the help, the version or a mistake takes no PyTorch, which takes seconds: each
command imports what it needs when it runs.
"""

import os
import sys
from importlib.metadata import version as distribution_version
from typing import Annotated

import typer

from sigmoid_models.messages import UserError
from sigmoid_serve.cli.checkpoints import inspect
from sigmoid_serve.cli.conversion import convert
from sigmoid_serve.cli.keys import key
from sigmoid_serve.cli.prediction import predict
from sigmoid_serve.cli.serving import doctor, serve
from sigmoid_serve.cli.training import train
from sigmoid_serve.monitoring.line_writer import line_writer

app = typer.Typer(
    name="sigmoid-serve",
    help="Serve trained sigmoid classifiers over HTTP.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (serve, key, doctor, train, convert, predict, inspect):
    app.command()(command)


def main() -> None:
    """Run the command line; what the user can mend is told in one sentence."""
    # PyTorch's threads would spin while they wait for each other: where the cores are
    # busy, that makes milliseconds of microseconds. It is read as PyTorch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        app()
    except (UserError, FloatingPointError, OSError) as error:
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
