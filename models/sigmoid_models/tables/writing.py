"""Tables to files, a batch of rows at a time: CSV, JSON lines or Parquet."""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Protocol

from sigmoid_models.messages import UserError, one_line
from sigmoid_models.output.replacing import replacing

Format = Literal["csv", "jsonl", "parquet"]

_FORMATS: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
_STANDARD_OUTPUT: Final = {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}


class OutputNameError(UserError):
    """A name that does not say in which form a table is to be written."""


class OutputError(UserError):
    """A table that cannot be written."""


class Writer(Protocol):
    """Writes batches of rows.

    What takes time is in `encode`, which threads may call side by side.
    """

    def encode(self, columns: Sequence[Any]) -> Any:
        """Put the columns of a batch, arrays of pyarrow, into the form of the file."""

    def write(self, encoded: Any) -> None:
        """Write what `encode` returned."""

    def close(self) -> None:
        """Write what is left."""

    def abandon(self) -> None:
        """Leave the file as it is: it will be no whole one."""


def format_of(path: Path | None) -> Format:
    """Tell from its name how a table is to be written.

    Standard output, a pipe and a device are given CSV, unless their name says more.

    Raises:
        OutputNameError: The name ends otherwise.
    """
    if path is None or _is_straight(path):
        return _FORMATS.get(path.suffix.lower(), "csv") if path else "csv"
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise OutputNameError(
            one_line(
                f"{path}: expected a name that ends in .csv, .jsonl, .ndjson or "
                f".parquet, got {path.suffix or 'one without an ending'}"
            )
        ) from None


@contextmanager
def open_output(path: Path | None, names: Sequence[str]) -> Iterator[Writer]:
    """Open a table to write: a file, beside its place until all of it is written.

    Args:
        path: Of the file, whose ending says the form; None or `-` is standard output.
        names: Of the columns.

    Raises:
        OutputNameError: The name does not say the form.
        OutputError: It cannot be written; an old file is then as it was.
        BrokenPipeError: Nobody reads the pipe any more.
    """
    from sigmoid_models.tables.forms import CsvWriter, JsonWriter, ParquetWriter

    kinds: dict[Format, Callable[[BinaryIO, Sequence[str]], Writer]] = {
        "csv": CsvWriter,
        "jsonl": JsonWriter,
        "parquet": ParquetWriter,
    }
    kind = kinds[format_of(path)]
    try:
        with _opened(path) as file:
            writer = kind(file, names)
            try:
                yield writer
                writer.close()
            except BaseException:
                writer.abandon()
                raise
    except BrokenPipeError:
        raise
    except OSError as error:
        shown = "standard output" if path is None or _is_standard(path) else path
        unchanged = "; what was there before is unchanged"
        raise OutputError(
            one_line(
                f"{shown} cannot be written: {error.strerror or error}"
                f"{'' if path is None or _is_straight(path) else unchanged}"
            )
        ) from None


@contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO]:
    if path is None or _is_standard(path):
        if sys.stdout is None:
            raise OSError(errno.EBADF, "it is closed")
        # What another descriptor buffers is not tried again when the process ends.
        with open(os.dup(1), "wb") as file:
            yield file
    elif _is_straight(path):
        with path.open("wb") as file:
            yield file
    else:
        with replacing(path) as file:
            yield file


def _is_standard(path: Path) -> bool:
    return str(path) in _STANDARD_OUTPUT


def _is_straight(path: Path) -> bool:
    """Tell whether there is something that is no file, and cannot be replaced."""
    if _is_standard(path):
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
