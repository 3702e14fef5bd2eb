"""How a CSV is written, found out from its beginning."""

import re
from collections import Counter
from itertools import islice, pairwise
from typing import Final, NamedTuple

from sigmoid_models.tables.cells import is_number
from sigmoid_models.tables.records import QuoteError, Record, records
from sigmoid_models.tables.table import Decimal

_DELIMITERS: Final = (b",", b";", b"\t", b"|")
_NAMES: Final = {b",": "`,`", b";": "`;`", b"\t": "TAB", b"|": "`|`"}

_SAMPLE_RECORDS: Final = 100
_SAMPLE_CELLS: Final = 20_000

# What Excel reads and writes as a line before the names.
_SAID: Final = re.compile(rb'"?sep=([,;\t|])"?(?:\r\n|\r|\n)', re.IGNORECASE)

_COMMA: Final = re.compile(
    rb'(?:^|[;\t"]) *[+-]?(\d*,\d+)(?:[eE][+-]?\d+)? *(?=$|[;\t\r"])', re.MULTILINE
)
_POINT: Final = re.compile(
    rb'(?:^|[;\t"]) *[+-]?\d*\.\d+(?:[eE][+-]?\d+)? *(?=$|[;\t\r"])', re.MULTILINE
)
_GROUPED: Final = re.compile(rb"[1-9]\d{0,2},\d{3}")


class Dialect(NamedTuple):
    """How a CSV is written.

    Attributes:
        delimiter: What stands between cells.
        decimal: The decimal mark.
        skipped: Bytes before the first record: a line that names the delimiter.
    """

    delimiter: bytes
    decimal: Decimal
    skipped: int

    @property
    def note(self) -> str | None:
        """Say how it is written, unless in the usual way."""
        if self.delimiter == b"," and self.decimal == ".":
            return None
        comma = ", decimal comma" if self.decimal == "," else ""
        return f"{_NAMES[self.delimiter]} between cells{comma}"


def find_dialect(sample: bytes, decimal: Decimal | None, *, at_end: bool) -> Dialect:
    """Find out how a file is written.

    Args:
        sample: Its beginning.
        decimal: The decimal mark, where the user says it.
        at_end: Whether the sample is the whole file.
    """
    said = _SAID.match(sample)
    skipped = said.end() if said else 0
    sample = sample[skipped:]
    delimiter = said[1] if said else _delimiter(sample, decimal, at_end=at_end)
    if decimal is None:
        may_differ = delimiter in (b";", b"\t")
        decimal = "," if may_differ and _has_decimal_comma(sample) else "."
    return Dialect(delimiter, decimal, skipped)


def sample_records(sample: bytes, delimiter: bytes, *, at_end: bool) -> list[Record]:
    """Read the first records: some, and as far as they can be read."""
    found: list[Record] = []
    cells = 0
    try:
        for record in islice(
            records(sample, delimiter, at_end=at_end), _SAMPLE_RECORDS
        ):
            found.append(record)
            cells += len(record.cells)
            if cells > _SAMPLE_CELLS:
                break
    except QuoteError:
        pass
    return found


def is_header_in_doubt(rows: list[list[str]]) -> bool:
    """Say whether the first row looks like the others, and not like names.

    Numbers are no names, unless they count, as a data frame's columns do that got none.
    Nor are texts that stand in the same columns again.
    """
    header, *others = rows
    named = [cell.strip() for cell in header]
    numbers = [cell for cell in named if is_number(cell)]
    texts = [cell for cell in named if cell and not is_number(cell)]
    if not numbers and not texts:
        return False
    again = sum(
        any(position < len(row) and row[position].strip() == cell for row in others)
        for position, cell in enumerate(named)
        if cell and not is_number(cell)
    )
    if not numbers:
        return len(texts) > 1 and again > len(texts) / 2
    if not texts:
        return not _count_up(numbers)
    return again > 0 or not (_count_up(numbers) or _are_a_scale(numbers))


def repeated(names: list[str]) -> list[str]:
    """Return the names that stand there more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def _delimiter(sample: bytes, decimal: Decimal | None, *, at_end: bool) -> bytes:
    """Choose what parts all records alike, and the most often; else the header."""
    best: tuple[bool, int] = (False, 1)
    chosen = b";" if decimal == "," else b","
    for delimiter in _DELIMITERS:
        found = sample_records(sample, delimiter, at_end=at_end)
        if not found:
            continue
        cells = len(found[0].cells)
        alike = all(len(record.cells) == cells for record in found)
        if cells > 1 and (alike, cells) > best:
            best, chosen = (alike, cells), delimiter
    return chosen


def _has_decimal_comma(sample: bytes) -> bool:
    """Say whether commas are decimal marks: no points are, and none can group by 3."""
    if _POINT.search(sample):
        return False
    return any(not _GROUPED.fullmatch(found[1]) for found in _COMMA.finditer(sample))


def _count_up(numbers: list[str]) -> bool:
    size = len(numbers)
    return size > 1 and numbers in (
        [str(number) for number in range(size)],
        [str(number) for number in range(1, size + 1)],
    )


def _are_a_scale(numbers: list[str]) -> bool:
    """Say whether numbers rise or fall, as years or wavelengths do."""
    values = [float(number) for number in numbers]
    steps = [b - a for a, b in pairwise(values)]
    return len(steps) > 1 and (min(steps) > 0 or max(steps) < 0)
