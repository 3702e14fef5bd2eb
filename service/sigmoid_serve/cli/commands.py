"""The command line: its commands, and what becomes of their errors.

To show the help, the version or a mistake takes no PyTorch, which takes seconds: each
command is imported when it is asked for, and imports what it needs when it runs.
"""

import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any, Final

import typer
import typer.main
from typer.core import TyperGroup

from sigmoid_models.messages import UsageError, UserError
from sigmoid_serve.cli.help import PlainCommand, write_commands, write_help
from sigmoid_serve.interrupts import (
    INTERRUPTED,
    STOPPED,
    end_on_interrupt,
    ignore_interrupts,
    raise_on_interrupt,
    was_interrupted,
)
from sigmoid_serve.monitoring.line_writer import exit_at_once, line_writer

COMMANDS: Final = {
    "serve": ("serving", "Serve models over HTTP."),
    "key": ("keys", "Make an API key."),
    "doctor": (
        "serving",
        "Check what a server would find, and whether it would start.",
    ),
    "train": (
        "training.command",
        "Train a network on real data and write its checkpoint.",
    ),
    "evaluate": ("evaluation", "Measure a checkpoint on rows whose classes are known."),
    "convert": ("conversion", "Write a checkpoint of a file of weights."),
    "predict": ("prediction", "Classify the rows of a table."),
    "inspect": ("checkpoints", "Show what a checkpoint holds."),
}
"""Of each command, the module of this package that has it, and what it is for."""


class _Interrupted(Exception):
    """Ctrl-C came, and the command has put away what it had begun."""


class _Commands(TyperGroup):
    """The commands, each imported when it is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # Their names alone, for what is proposed in place of a mistyped one.
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"{__package__}.{COMMANDS[cmd_name][0]}")
        single = typer.Typer(rich_markup_mode=None, add_completion=False)
        single.command(cls=PlainCommand)(getattr(module, cmd_name))
        command = typer.main.get_command(single)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, without importing any command."""
        write_help(self, ctx, formatter)
        write_commands({name: what for name, (_, what) in COMMANDS.items()}, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        raise_on_interrupt()
        try:
            return super().invoke(ctx)
        except BaseException as error:
            # Compiled modules that are being imported make other errors of it.
            if isinstance(error, KeyboardInterrupt) or was_interrupted():
                raise _Interrupted from None
            raise
        finally:
            end_on_interrupt()  # while the interpreter ends


app = typer.Typer(
    name="sigmoid-serve",
    cls=_Commands,
    help="Serve trained sigmoid classifiers over HTTP.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 120,
    },
)


def main() -> None:
    """Run the command line; what the user can mend is told in one sentence.

    The exit code is 2 for what cannot be meant, 1 for what cannot be done, and 130
    after Ctrl-C.
    """
    end_on_interrupt()
    # PyTorch's threads would spin while they wait for each other: where the cores are
    # busy, that makes milliseconds of microseconds. It is read as PyTorch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        code = app(prog_name="sigmoid-serve", standalone_mode=False)
    except typer.TyperException as error:
        code = error.exit_code
        if len(sys.argv) > 1:
            _tell(_usage(error))
        else:  # the message is the help
            print(error.message, file=sys.stderr)
    except _Interrupted:
        ignore_interrupts()
        with suppress(OSError):
            sys.stdout.flush()
        line_writer().write(STOPPED)
        exit_at_once(INTERRUPTED)
    except (UserError, FloatingPointError, OSError) as error:
        code = 2 if isinstance(error, UsageError) else 1
        _tell(str(error))
    sys.exit(code if isinstance(code, int) else 0)


def _tell(sentence: str) -> None:
    line_writer().write(
        f"sigmoid-serve: {sentence}\n".encode(errors="backslashreplace")
    )


def _usage(error: typer.TyperException) -> str:
    """Write what is wrong with what was typed, and what may have been meant."""
    near = getattr(error, "possibilities", None)
    message = error.message if near else error.format_message()
    message = " ".join(message.replace(" Value error,", "").split())
    if near:
        message = f"{message}; did you mean {' or '.join(near)}?"
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "sigmoid-serve"
    return f"{message} ({path} -h shows what there is)"


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("sigmoid-serve"))
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
