"""A Parquet file, read in batches of rows."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import parquet

from sigmoid_models.tables.batch import ArrowBatch
from sigmoid_models.tables.dialect import repeated
from sigmoid_models.tables.table import ReadOptions, Table, TableError, listed

# So many rows of a batch, fewer where there are many columns.
_ROWS: Final = 2**15
_CELLS: Final = 2**21

# Of each column, read at once. Without it, a group of rows is held whole, and with
# pyarrow's own reading ahead, several of them.
_BUFFER_BYTES: Final = 2**18


class ParquetTable(Table):
    """A Parquet file; see `Table`."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        self.label = str(path)
        if not path.is_file():
            finding = "Parquet is read from its end: name a file that is not a pipe"
            raise TableError(f"{self.label}: {finding}")
        self._decimal = options.decimal or "."
        try:
            self._file = parquet.ParquetFile(
                path, pre_buffer=False, buffer_size=_BUFFER_BYTES
            )
        except (OSError, pa.ArrowException):
            finding = "it begins as Parquet, and is damaged or cut short"
            raise TableError(f"{self.label}: {finding}") from None
        self.names = tuple(self._file.schema_arrow.names)
        self._read = 0
        try:
            self._check()
        except TableError:
            self.close()
            raise

    def _check(self) -> None:
        twice = repeated(list(self.names))
        if twice:
            raise TableError(f"{self.label}: columns are named twice: {listed(twice)}")
        if not self.rows:
            raise TableError(f"{self.label}: there is no row")

    @property
    def notes(self) -> tuple[str, ...]:
        """Return nothing: Parquet says itself how it is written."""
        return ()

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return int(self._file.metadata.num_rows)

    @property
    def read_fraction(self) -> float:
        """How many of the rows were read; see `Table.read_fraction`."""
        return self._read / self.rows

    def batches(self) -> Iterator[ArrowBatch]:
        """Read the rows; see `Table.batches`."""
        try:
            size = max(1, min(_ROWS, _CELLS // max(1, len(self.names))))
            for part in self._file.iter_batches(size):
                first = self._read
                self._read += part.num_rows
                columns = dict(zip(self.names, part.columns, strict=True))
                yield ArrowBatch(
                    self.label,
                    first,
                    part.num_rows,
                    columns,
                    self._decimal,
                    partial(_place, first),
                )
        except (OSError, pa.ArrowException):
            finding = f"the rows after row {self._read} are damaged"
            raise TableError(f"{self.label}: {finding}") from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _place(first: int, row: int) -> str:
    return f"row {first + row + 1}"
