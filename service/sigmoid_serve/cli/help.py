"""The help of the commands: plain text, in groups of options.

Nothing in it is markup: `[admin]` and `A|B` are shown as they are written.
"""

from collections.abc import Mapping
from typing import Any, Final

from typer.core import TyperCommand

_NAME_COLUMNS: Final = 34


class PlainCommand(TyperCommand):
    """A command whose help has a section for each group of its options."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        write_help(self, ctx, formatter)


def write_help(command: Any, ctx: Any, formatter: Any) -> None:
    """Write how a command is called, what it is for, and its options by group."""
    command.format_usage(ctx, formatter)
    command.format_help_text(ctx, formatter)
    groups: dict[str, list[tuple[str, str]]] = {"Arguments": []}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is None:
            continue
        kind = f"{parameter.param_type_name.capitalize()}s"
        group = getattr(parameter, "rich_help_panel", None) or kind
        groups.setdefault(group, []).append(record)
    # The options that have no group, such as --help, come last.
    groups["Options"] = groups.pop("Options", [])
    for group, records in groups.items():
        _write_section(group, records, formatter)
    command.format_epilog(ctx, formatter)


def write_commands(commands: Mapping[str, str], formatter: Any) -> None:
    """Write what each command is for."""
    _write_section("Commands", [*commands.items()], formatter)


def _write_section(title: str, rows: list[tuple[str, str]], formatter: Any) -> None:
    if rows:
        with formatter.section(title):
            formatter.write_dl(rows, col_max=_NAME_COLUMNS)
