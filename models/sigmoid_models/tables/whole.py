"""Small tables, such as those beside a checkpoint, read at once."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sigmoid_models.dtype import Float64Array
from sigmoid_models.tables.reading import Batch, open_table


class WholeTable:
    """All rows of a table.

    Attributes:
        names: The names of the columns.
    """

    def __init__(self, names: tuple[str, ...], batches: Sequence[Batch]) -> None:
        self.names = names
        self._batches = batches

    def numbers(self, names: Sequence[str]) -> Float64Array:
        """Read columns as finite numbers, `(rows, len(names))`.

        Raises:
            TableError: A column is not there, or a cell is no finite number.
        """
        return np.concatenate([batch.numbers(names) for batch in self._batches])

    def texts(self, name: str) -> list[str]:
        """Read a column as text.

        Raises:
            TableError: The column is not there, or has no text.
        """
        return [text for batch in self._batches for text in batch.texts(name)]


def read_whole(path: Path) -> WholeTable:
    """Read a table.

    Raises:
        UserError: It cannot be read; see `open_table`.
    """
    with open_table(path) as table:
        return WholeTable(table.names, list(table.batches()))
