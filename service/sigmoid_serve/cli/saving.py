"""Where commands write a checkpoint or a report, and how the one is then served."""

import re
import shlex
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from sigmoid_models.messages import UserError
from sigmoid_models.output.replacing import replacing
from sigmoid_serve.repository.naming import is_name

if TYPE_CHECKING:
    from torch import nn

    from sigmoid_models.card import ModelCard

# Of files of data, before the suffix of a compression.
_SUFFIXES: Final = {".csv", ".data", ".parquet", ".tsv", ".txt"}


def check_name(path: Path) -> None:
    """Check the name of a checkpoint before the work for it is done.

    Raises:
        UserError: It ends otherwise than in `.safetensors`.
    """
    if path.suffix != ".safetensors":
        raise UserError(f"{path}: the checkpoint must end in .safetensors")


def save(path: Path, network: "nn.Module", card: "ModelCard") -> None:
    """Write a checkpoint, all of it or nothing.

    Raises:
        UserError: It cannot be written.
    """
    from sigmoid_models.checkpoint import save_checkpoint

    try:
        save_checkpoint(path, network, card)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror or error}; what was there "
            "before is unchanged; mend that, or choose another place with --output"
        ) from None


def proposed_name(data: str) -> str:
    """Make a name that a served model can have of the name of its data."""
    stem = Path(data).stem
    if Path(stem).suffix.lower() in _SUFFIXES:
        stem = Path(stem).stem
    # Letters lose their accents; what a name cannot have becomes a hyphen.
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain)[:64].strip("-.")
    if is_name(name):
        return name
    return f"{name}-model" if name else "model"


def serve_command(path: Path) -> str:
    """Write the command that serves a checkpoint, as a shell takes it."""
    shown = f"./{path}" if str(path).startswith("-") else str(path)
    if not is_name(path.stem):
        shown = f"{proposed_name(path.name)}={shown}"
    return f"sigmoid-serve serve {shlex.quote(shown)}"


def check_report(path: Path | None) -> None:
    """Check that a report can be made, before the work for it is done.

    Raises:
        BadParameter: It ends otherwise than in `.html`.
        UserError: Its folder is not there, or there is nothing to draw its curves by.
    """
    if path is None:
        return
    if path.suffix.lower() not in {".html", ".htm"}:
        raise typer.BadParameter(
            f"{path} must end in .html: a report is a page", param_hint="--report"
        )
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} is not there; make it first")
    try:
        import matplotlib as _  # noqa: F401
    except ModuleNotFoundError:
        raise UserError(
            "a report needs matplotlib: pip install 'sigmoid-serve[train]'"
        ) from None


def save_report(path: Path, text: str) -> None:
    """Write a page, all of it or nothing, in UTF-8.

    Raises:
        UserError: It cannot be written.
    """
    try:
        with replacing(path) as file:
            file.write(text.encode(errors="backslashreplace"))
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror or error}; choose another "
            "place with --report"
        ) from None
