"""Rows of a table as pyarrow holds them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sigmoid_models.dtype import Float64Array
from sigmoid_models.tables.cells import reason, to_numbers, to_texts
from sigmoid_models.tables.table import (
    Batch,
    Decimal,
    Numbers,
    TableError,
    missing_columns,
    shown_cell,
)


@dataclass(frozen=True)
class ArrowBatch(Batch):
    """Some rows of a table.

    Attributes:
        label: The file's name, for messages.
        first_row: Number of the first of them; the file's first row has 0.
        rows: How many they are.
        columns: The pyarrow array of each column.
        decimal: The decimal mark of cells that are text.
        place_of: Says where a row stands, counted from the first of these.
    """

    label: str
    first_row: int
    rows: int
    columns: Mapping[str, Any]
    decimal: Decimal
    place_of: Callable[[int], str]

    def numbers(self, names: Sequence[str]) -> Float64Array:
        """Read columns as finite numbers; see `Batch.numbers`."""
        values = np.empty((self.rows, len(names)), dtype=np.float64)
        faults: list[tuple[int, str]] = []
        for position, name in enumerate(names):
            column = self.column(name)
            values[:, position] = column.values
            is_fault = column.missing | column.wrong
            if is_fault.any():
                faults.append((int(np.argmax(is_fault)), name))
        if faults:
            row, name = min(faults, key=lambda fault: fault[0])
            raise TableError(self._fault(row, name))
        return values

    def column(self, name: str) -> Numbers:
        """Read a column as numbers; see `Batch.column`."""
        return to_numbers(self.arrow(name), self.decimal)

    def texts(self, name: str) -> list[str]:
        """Read a column as text; see `Batch.texts`."""
        try:
            return to_texts(self.arrow(name))
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            kind = self.arrow(name).type
            finding = f"column {shown_cell(name)} holds {kind}, which is no text"
            raise TableError(f"{self.label}: {finding}") from None

    def arrow(self, name: str) -> Any:
        """Return a column as pyarrow has it; see `Batch.arrow`."""
        if name not in self.columns:
            said = missing_columns([name], tuple(self.columns))
            raise TableError(f"{self.label}: {said}")
        return self.columns[name]

    def cell(self, row: int, name: str) -> tuple[str, str | None]:
        """Return a cell as text; see `Batch.cell`."""
        cell = self.columns[name][row].as_py()
        text = "" if cell is None else str(cell)
        return text, reason(text, self.decimal)

    def place(self, row: int) -> str:
        """Say where a row stands; see `Batch.place`."""
        return self.place_of(row)

    def _fault(self, row: int, name: str) -> str:
        text, said = self.cell(row, name)
        return (
            f"{self.label}: {self.place(row)}, column {shown_cell(name)}: "
            f"expected a finite number, got {shown_cell(text)}"
            + (f" ({said})" if said else "")
        )
