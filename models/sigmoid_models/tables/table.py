"""What every table is to its reader: named columns, and rows that come in batches."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from sigmoid_models.dtype import Float64Array
from sigmoid_models.messages import UserError, one_line

Decimal = Literal[".", ","]

# How many names or characters of a file a message shows at most.
_NAMES: Final = 8
_CHARACTERS: Final = 48


class TableError(UserError):
    """A table that cannot be used: where, what was found, what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


@dataclass(frozen=True)
class ReadOptions:
    """What the user says of a file.

    Attributes:
        decimal: The decimal mark; None to find it out.
        has_header: Whether the first line names the columns; None to find it out,
            where a doubt is an error.
    """

    decimal: Decimal | None = None
    has_header: bool | None = None


class Numbers(NamedTuple):
    """A column of numbers, and where there is none.

    Attributes:
        values: The numbers; where there is none, anything that is not finite.
        missing: Where there is no value.
        wrong: Where there is something else than a finite number.
    """

    values: Float64Array
    missing: NDArray[np.bool_]
    wrong: NDArray[np.bool_]


class Batch(ABC):
    """Some rows of a table.

    Attributes:
        first_row: Number of the first of them; the file's first row has 0.
        rows: How many they are.
    """

    first_row: int
    rows: int

    @abstractmethod
    def numbers(self, names: Sequence[str]) -> Float64Array:
        """Read columns as finite numbers, `(rows, len(names))`.

        Raises:
            TableError: A column is not there, or a cell is no finite number.
        """

    @abstractmethod
    def column(self, name: str) -> Numbers:
        """Read a column as numbers, without an error where a cell is none."""

    @abstractmethod
    def texts(self, name: str) -> list[str]:
        """Read a column as text: cells as they are, numbers of Parquet written short.

        Raises:
            TableError: The column is not there, or has no text.
        """

    @abstractmethod
    def arrow(self, name: str) -> Any:
        """Return a column as the pyarrow array that it came as."""

    @abstractmethod
    def cell(self, row: int, name: str) -> tuple[str, str | None]:
        """Return a cell as text, and why it is no number, if that is known."""

    @abstractmethod
    def place(self, row: int) -> str:
        """Say where a row stands, counted from this batch's first: `line 17`."""


class Table(ABC):
    """An open file with named columns; a context manager that closes it.

    Attributes:
        label: The file's name, for messages.
        names: The names of the columns.
    """

    label: str
    names: tuple[str, ...]

    @property
    @abstractmethod
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was found out so far, such as the encoding."""

    @property
    @abstractmethod
    def rows(self) -> int | None:
        """The number of rows, where it is known before they are read."""

    @property
    @abstractmethod
    def read_fraction(self) -> float:
        """How much of the input was read so far, from 0 to 1."""

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """Read the rows, once, a few megabytes at a time.

        Raises:
            TableError: A row has more or fewer cells than there are columns, or the
                file cannot be read.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def require(self, names: Sequence[str]) -> None:
        """Check that there are columns of these names.

        Raises:
            TableError: It names all that are missing, and what there is.
        """
        missing = [name for name in dict.fromkeys(names) if name not in self.names]
        if missing:
            raise TableError(f"{self.label}: {missing_columns(missing, self.names)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def missing_columns(missing: Sequence[str], there: Sequence[str]) -> str:
    """Say which columns are not there, and which are; the similar ones first."""
    folded = {name.strip().casefold(): name for name in reversed(there)}
    similar = {
        folded[match]: None
        for name in missing
        for match in get_close_matches(name.strip().casefold(), folded, n=2)
    }
    found = listed([*similar, *(name for name in there if name not in similar)])
    what = "is no column" if len(missing) == 1 else f"are no {len(missing)} columns"
    return f"there {what} {listed(missing)}; the header has {found}"


def listed(names: Sequence[str]) -> str:
    """Show names with commas between: not too many, none too long."""
    shown = ", ".join(shown_cell(name) for name in names[:_NAMES])
    more = len(names) - _NAMES
    return f"{shown} and {more:,} more" if more > 0 else shown


def shown_cell(text: str) -> str:
    """Show a name or a cell in quotes, cut where it is long."""
    return repr(text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}…")
