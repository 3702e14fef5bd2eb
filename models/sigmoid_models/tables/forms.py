"""Columns of pyarrow to the bytes of CSV, JSON lines and Parquet.

Rows are put together by pyarrow, without an object of Python for a cell. A float32 is
written by the shortest digits that give the same float32 back.
"""

import json
from collections.abc import Sequence
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sigmoid_models.messages import UserError, one_line

# Rows that Parquet is written of at once.
_GROUP_ROWS: Final = 2**17

_QUOTED_IN_CSV: Final = '[",\r\n]'
_ESCAPED_IN_JSON: Final = r'["\\\x00-\x1f]'


class _TextWriter:
    """Rows as lines of UTF-8.

    Args:
        file: To write to.
        names: Of the columns.
    """

    def __init__(self, file: BinaryIO, names: Sequence[str]) -> None:
        self._file = file
        self._names = names

    def write(self, encoded: memoryview) -> None:
        """Write lines."""
        self._file.write(encoded)

    def close(self) -> None:
        """Do nothing: all is written."""

    def abandon(self) -> None:
        """Do nothing: what is written ends in the middle."""


class CsvWriter(_TextWriter):
    """RFC 4180 with a header, LF between lines and quotes only where they must be."""

    def __init__(self, file: BinaryIO, names: Sequence[str]) -> None:
        super().__init__(file, names)
        header = _quoted_for_csv(pa.array(names, pa.string())).to_pylist()
        file.write(f"{','.join(header)}\n".encode())

    def encode(self, columns: Sequence[Any]) -> memoryview:
        """Write a line for each row."""
        cells = [
            _csv_cells(column, name)
            for column, name in zip(columns, self._names, strict=True)
        ]
        return _lines(cells, ",")


class JsonWriter(_TextWriter):
    """A JSON object for each row, on a line of its own."""

    def encode(self, columns: Sequence[Any]) -> memoryview:
        """Write a line for each row."""
        parts: list[Any] = []
        for column, name in zip(columns, self._names, strict=True):
            key = json.dumps(name, ensure_ascii=False)
            parts += [f"{',' if parts else '{'}{key}:", _json_cells(column, name)]
        return _lines([*parts, "}"], "")


class ParquetWriter:
    """Parquet, in groups of many rows.

    Args:
        file: To write to.
        names: Of the columns.
    """

    def __init__(self, file: BinaryIO, names: Sequence[str]) -> None:
        self._file = file
        self._names = names
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.RecordBatch] = []

    def encode(self, columns: Sequence[Any]) -> pa.RecordBatch:
        """Put columns side by side."""
        return pa.record_batch(list(columns), names=list(self._names))

    def write(self, encoded: pa.RecordBatch) -> None:
        """Write rows, some of them later."""
        self._waiting.append(encoded)
        if sum(batch.num_rows for batch in self._waiting) >= _GROUP_ROWS:
            self._write_group()

    def close(self) -> None:
        """Write the rows that are left, and what readers start from."""
        if self._waiting:
            self._write_group()
        if self._writer is not None:
            self._writer.close()

    def abandon(self) -> None:
        """Leave the file without an end: it is then no Parquet file."""
        if self._writer is not None:
            # Else it would be closed, with an end, when nobody refers to it any more.
            self._writer.is_open = False

    def _write_group(self) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, self._waiting[0].schema)
        self._writer.write_table(pa.Table.from_batches(self._waiting))
        self._waiting = []


def _lines(parts: Sequence[Any], between: str) -> memoryview:
    joined = pc.binary_join_element_wise(*parts, between)
    lines = pc.binary_join_element_wise(joined, "", "\n")
    _, offsets, text = lines.buffers()
    ends = memoryview(offsets).cast("i")
    return memoryview(text)[ends[lines.offset] : ends[lines.offset + len(lines)]]


def _csv_cells(column: Any, name: str) -> Any:
    if pa.types.is_boolean(column.type):
        text = pc.if_else(column, "True", "False")
    else:
        text = _text(column, name)
        if not _is_number(column.type):
            text = _quoted_for_csv(text)
    return text.fill_null("")


def _quoted_for_csv(text: Any) -> Any:
    must = pc.match_substring_regex(text, _QUOTED_IN_CSV)
    if not pc.any(must).as_py():
        return text
    doubled = pc.replace_substring(text, '"', '""')
    quoted = pc.binary_join_element_wise('"', doubled, '"', "")
    return pc.if_else(must, quoted, text)


def _json_cells(column: Any, name: str) -> Any:
    text = _text(column, name)
    if pa.types.is_floating(column.type):
        text = pc.if_else(pc.is_finite(column), text, None)
    elif not _is_number(column.type) and not pa.types.is_boolean(column.type):
        text = _quoted_for_json(text)
    return text.fill_null("null")


def _quoted_for_json(text: Any) -> Any:
    if pc.any(pc.match_substring_regex(text, _ESCAPED_IN_JSON)).as_py():
        cells = [
            None if cell is None else json.dumps(cell, ensure_ascii=False)
            for cell in text.to_pylist()
        ]
        return pa.array(cells, pa.string())
    return pc.binary_join_element_wise('"', text, '"', "")


def _text(column: Any, name: str) -> Any:
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise UserError(
            one_line(
                f"the column {name!r} cannot be written as text, as it holds "
                f"{column.type}; write it to a .parquet file, or leave it out"
            )
        ) from None


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
