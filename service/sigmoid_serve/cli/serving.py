"""The commands of operators: `serve`, with an option of every setting, and `doctor`."""

import logging
import signal
import sys
from inspect import Parameter, Signature
from json import dumps
from pathlib import Path
from typing import Annotated, Any, Final, get_args

import typer
from pydantic.fields import FieldInfo

from sigmoid_serve.configuration.environment import variable
from sigmoid_serve.configuration.settings import (
    Settings,
    ignored_variables,
    read_settings,
    shown_default,
)
from sigmoid_serve.interrupts import end_on_interrupt, ignore_interrupts
from sigmoid_serve.monitoring.line_writer import exit_at_once

_GROUPS: Final = (
    ("Models", ("activation", "device", "max_checkpoint_bytes", "load_seconds")),
    ("Network", ("host", "port", "uds", "cors_origins", "root_path")),
    ("Processes", ("workers", "threads")),
    ("Time", [name for name in Settings.model_fields if name.endswith("_seconds")]),
    ("TLS and keys", [name for name in Settings.model_fields if "_file" in name]),
    ("Requests", ("extra_fields", "page")),
    ("Logs", ("access_log", "log_format")),
)
"""In which group of the help an option stands; the first that names it."""

_CHECKPOINTS = typer.Argument(
    metavar="CHECKPOINT",
    help="Files, or folders NAME/VERSION/model.safetensors, or folders of these; "
    "NAME=PATH gives one another name. [env: SIGMOID_MODELS; default: the pretrained "
    "models]",
    show_default=False,
)


def serve(checkpoints: list[Path] | None = None, **options: Any) -> None:
    """Serve models over HTTP."""
    settings = read_settings(**options)
    # As process 1 of a container nothing would end this process while it starts; and
    # as long as nothing was let in, nothing is lost.
    signal.signal(signal.SIGTERM, lambda *_: exit_at_once(0))
    end_on_interrupt()
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


def _parameters() -> list[Parameter]:
    """Make an option of every setting."""
    checkpoints = Parameter(
        "checkpoints",
        Parameter.POSITIONAL_OR_KEYWORD,
        default=None,
        annotation=Annotated[list[Path] | None, _CHECKPOINTS],
    )
    options = [
        Parameter(
            name, Parameter.KEYWORD_ONLY, default=None, annotation=_option(name, field)
        )
        for name, field in Settings.model_fields.items()
        if name != "models"  # these are the arguments
    ]
    return [checkpoints, *options]


def _option(name: str, field: FieldInfo) -> Any:
    default = shown_default(name).strip("`")
    option = typer.Option(
        help=f"{field.description} [env: {variable(name)}; default: {default}]",
        show_default=False,
        rich_help_panel=_group(name),
    )
    kind = next(
        kind
        for kind in (bool, int, float, str)
        if kind in (field.annotation, *get_args(field.annotation)) or kind is str
    )
    return Annotated[kind | None, option]


def _group(name: str) -> str:
    """Name the group that an option is shown in."""
    return next((group for group, names in _GROUPS if name in names), "Limits")


def doctor(
    checkpoints: list[Path] | None = None, json: bool = False, **options: Any
) -> None:
    """Check what a server would find on this machine, and whether it would start.

    It takes what `serve` takes. The exit code is 1 if the start would fail.
    """
    # A check would take an interrupted import for a fault; and nothing is to be kept.
    end_on_interrupt()
    settings = read_settings(**options)
    logging.getLogger("sigmoid_serve").addHandler(logging.NullHandler())
    from sigmoid_serve.diagnostics.checks import start_checks, would_start
    from sigmoid_serve.diagnostics.doctor import as_json, report

    checks = start_checks(settings, checkpoints or ())
    ignore_interrupts()  # it is shown as a whole
    if json:
        print(dumps(as_json(settings, checks), indent=2))
    else:
        from sigmoid_serve.cli.terminal import text_console

        text_console().print(report(settings, checks))
    sys.stdout.flush()
    # The threads of models that were loaded must not outlive the interpreter.
    exit_at_once(0 if would_start(checks) else 1)


def _take_settings(command: Any, *more: Parameter) -> None:
    """Give a command an option of every setting, and more."""
    parameters = [*_parameters(), *more]
    command.__signature__ = Signature(parameters)
    command.__annotations__ = {each.name: each.annotation for each in parameters}


_JSON = typer.Option("--json", help="Print one object in place of tables.")
_take_settings(serve)
_take_settings(
    doctor,
    Parameter(
        "json", Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, _JSON]
    ),
)
