"""A CSV, read in blocks of whole records."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from sigmoid_models.tables.batch import ArrowBatch
from sigmoid_models.tables.cells import is_number
from sigmoid_models.tables.dialect import (
    are_parted_by_spaces,
    find_dialect,
    is_header_in_doubt,
    repeated,
    sample_records,
)
from sigmoid_models.tables.encoding import Text
from sigmoid_models.tables.records import (
    QuoteError,
    Record,
    complete_records,
    line_ends,
    records,
)
from sigmoid_models.tables.source import Source, refuse_others
from sigmoid_models.tables.table import (
    ReadOptions,
    Table,
    TableError,
    listed,
)

_BLOCK: Final = 2**22
_LONGEST_RECORD: Final = 2**26

_EXPECTED: Final = "expected a line of names of columns, and rows under it"

# pyarrow takes signals while it parses, and may lose one: Ctrl-C would do nothing.
pa.enable_signal_handlers(False)


class CsvTable(Table):
    """A CSV of any usual form; see `Table`."""

    def __init__(self, source: Source, options: ReadOptions) -> None:
        self.label = source.label
        self._source = source
        self._text = Text(self.label, source.read)
        self._rest, self._line, self._at_end = b"", 1, False
        size = _BLOCK
        self._fill(size)
        while not self._at_end and size < _LONGEST_RECORD and not _has_line(self._rest):
            size *= 2
            self._fill(size)
        sample = self._rest
        refuse_others(self.label, sample)
        if not sample.strip():
            raise TableError(f"{self.label}: it is empty: {_EXPECTED}")
        self._dialect = find_dialect(sample, options.decimal, at_end=self._at_end)
        self._take(self._dialect.skipped)
        self._read_header(options)

    @property
    def notes(self) -> tuple[str, ...]:
        """Say how the file was read; see `Table.notes`."""
        encoding = f"read as {self._text.name}" if self._text.name else None
        said = (self._dialect.note, encoding, *self._said)
        return tuple(note for note in said if note)

    @property
    def rows(self) -> int | None:
        """Return None: nobody knows before the end."""
        return None

    @property
    def read_fraction(self) -> float:
        """How much of the file was read; see `Table.read_fraction`."""
        return self._source.read_fraction

    def batches(self) -> Iterator[ArrowBatch]:
        """Read the rows; see `Table.batches`."""
        first_row = 0
        while self._rest or not self._at_end:
            line = self._line
            block = self._next_block()
            columns = self._parsed(block, line)
            rows = len(columns[0])
            if rows:
                named = dict(zip(self.names, columns, strict=False))
                place = partial(self._place, block, line)
                decimal = self._dialect.decimal
                yield ArrowBatch(self.label, first_row, rows, named, decimal, place)
            first_row += rows
        if not first_row:
            raise TableError(f"{self.label}: there is no row under the header")

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def _read_header(self, options: ReadOptions) -> None:
        """Read the names of the columns, or make some."""
        found = sample_records(self._rest, self._dialect.delimiter, at_end=self._at_end)
        if not found:
            # It says what is wrong with the first record, or makes it whole.
            line, block = self._line, self._next_block()
            self._rest, self._line = block + self._rest, line
            found = sample_records(block, self._dialect.delimiter, at_end=True)
        rows = [[_shown(cell) for cell in record.cells] for record in found]
        self._columns = len(rows[0])
        self._said: tuple[str, ...] = ()
        columns = self._columns
        if columns == 1 and are_parted_by_spaces(rows):
            finding = "spaces stand between the cells; expected commas, ;, TAB or |"
            raise TableError(f"{self.label}: {finding}, as tr -s ' ' , makes them")
        if columns > 1 and all(not row[-1] for row in rows):
            # Programs that end each line with a delimiter make a column of nothing.
            columns -= 1
            self._said = ("each line ends with a delimiter, which is no column",)
        if options.has_header is False:
            self.names = tuple(f"column_{i + 1}" for i in range(columns))
            self._first = f"line {found[0].line}"
            self._line_after = found[0].line
            return
        if options.has_header is None and is_header_in_doubt(rows):
            raise TableError(
                f"{self.label}: line {found[0].line} looks like a row, not like names "
                f"of columns: {listed(rows[0])}; give --no-header if it is a row (the "
                f"columns are column_1, column_2, …), --header if these are the names"
            )
        self._first = "the header"
        self.names = self._named(found[0], columns)
        self._line_after = self._line

    def _named(self, header: Record, columns: int) -> tuple[str, ...]:
        content = self._utf8(self._rest[: header.end], self._line)
        self._take(header.end)
        [record] = records(content, self._dialect.delimiter)
        names = [_bare(cell.decode()) for cell in record.cells[:columns]]
        if self._at_end and not self._rest.strip():
            raise TableError(f"{self.label}: there is no row under the header")
        if all(map(is_number, names)):
            said = f"the columns are called {listed(names)}, by line {header.line}"
            self._said += (f"{said}; give --no-header if it is a row",)
        twice = repeated(names)
        if twice:
            finding = f"the header names a column twice: {listed(twice)}"
            raise TableError(f"{self.label}: {finding}; give each its own name")
        return tuple(names)

    def _fill(self, size: int) -> None:
        parts, have = [self._rest], len(self._rest)
        while have < size and not self._at_end:
            parts.append(self._text.read(_BLOCK))
            have += len(parts[-1])
            self._at_end = not parts[-1]
        self._rest = b"".join(parts)

    def _take(self, size: int) -> bytes:
        taken, self._rest = self._rest[:size], self._rest[size:]
        self._line += line_ends(taken)
        return taken

    def _next_block(self) -> bytes:
        """Take some whole records."""
        size, end = _BLOCK, 0
        try:
            while not end:
                self._fill(size)
                is_last = self._at_end or size > _LONGEST_RECORD
                end = complete_records(
                    self._rest, self._dialect.delimiter, self._line, at_end=is_last
                )
                if end > _LONGEST_RECORD:
                    finding = f"line {self._line} begins a row of more than 64 MiB"
                    raise TableError(f"{self.label}: {finding}")
                if is_last:
                    break
                size *= 2
        except QuoteError as error:
            raise TableError(f"{self.label}: {error}") from None
        return self._take(end)

    def _parsed(self, block: bytes, line: int) -> list[Any]:
        """Read the cells of some records, as one array of text per column."""
        content = self._utf8(block, line)
        if not content.strip(b"\r\n"):
            return [pa.array([], pa.string())] * self._columns
        names = [str(position) for position in range(self._columns)]
        try:
            table = csv.read_csv(
                pa.py_buffer(content),
                csv.ReadOptions(
                    column_names=names, block_size=len(content) + 1, use_threads=False
                ),
                csv.ParseOptions(
                    delimiter=self._dialect.delimiter.decode(), newlines_in_values=True
                ),
                csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), check_utf8=False
                ),
            )
        except pa.ArrowInvalid as error:
            self._check_lengths(block, line)
            raise TableError(f"{self.label}: near line {line}: {error}") from None
        if self._columns == 1:
            self._check_blank(block, line)
        columns = [column.combine_chunks() for column in table.columns]
        if len(self.names) < self._columns and pc.any(pc.not_equal(columns[-1], "")):
            self._check_lengths(block, line)
        return columns

    def _check_lengths(self, block: bytes, line: int) -> None:
        """Find the first record that has not as many cells as there are columns."""
        for record in records(block, self._dialect.delimiter, line):
            cells = len(record.cells)
            if cells != self._columns or (cells > len(self.names) and record.cells[-1]):
                here, there = _counted(cells), len(self.names)
                finding = f"line {record.line} has {here}, {self._first} {there}"
                if not b"".join(record.cells).strip():
                    finding += ": it holds only spaces"
                elif cells == there + 1 and not record.cells[-1].strip():
                    finding += ": it ends with a delimiter"
                elif there == 1:
                    finding += ": it may be that a title stands above the header"
                raise TableError(f"{self.label}: {finding}; mend the line")

    def _check_blank(self, block: bytes, line: int) -> None:
        """Refuse a blank line between rows of one column: it may be a missing value.

        Elsewhere a row has a delimiter at least.
        """
        before, expected = 0, self._line_after
        for record in records(block, self._dialect.delimiter, line):
            if record.line != expected:
                finding = f"line {expected} is blank, which may be a missing value"
                raise TableError(f"{self.label}: {finding}; take it out, or fill it in")
            expected += line_ends(block[before : record.end])
            before = record.end
        self._line_after = expected

    def _place(self, block: bytes, line: int, row: int) -> str:
        found = records(block, self._dialect.delimiter, line)
        return f"line {next(islice(found, row, None)).line}"

    def _utf8(self, block: bytes, line: int) -> bytes:
        return self._text.utf8(block, lambda end: line + line_ends(block[:end]))


def _has_line(text: bytes) -> bool:
    text = text.lstrip(b"\r\n")
    # What follows the last byte is not known.
    return b"\n" in text or b"\r" in text[:-1]


def _shown(cell: bytes) -> str:
    return cell.decode("utf-8", "replace")


def _bare(name: str) -> str:
    """Take away spaces around a name, and quotes that stand behind a space."""
    name = name.strip()
    is_quoted = len(name) > 1 and name[0] == name[-1] == '"'
    return name[1:-1].strip() if is_quoted else name


def _counted(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"
