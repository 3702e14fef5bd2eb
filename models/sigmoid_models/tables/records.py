"""Where the records of a CSV begin and end: quoted cells may hold the ends of lines.

pyarrow reads the cells, fast. But it does not say on which line of the file a record
stands, and takes a quote that is never closed, or closed in the middle of a cell, as it
comes. So the bytes are cut into blocks of whole records here, and what is wrong with a
record is found here.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sigmoid_models.tables.table import TableError

_QUOTE, _NEWLINE, _RETURN = b'"\n\r'


class QuoteError(TableError):
    """A quote that is not closed where a cell ends."""

    def __init__(self, line: int, finding: str) -> None:
        super().__init__(f"line {line}: {finding}")


class Record(NamedTuple):
    """One record, of one line or of several.

    Attributes:
        line: The number of its first line.
        cells: Its cells, without quotes.
        end: Offset of the first byte behind it.
    """

    line: int
    cells: list[bytes]
    end: int


def complete_records(
    block: bytes, delimiter: bytes, line: int = 1, *, at_end: bool
) -> int:
    """Return the offset behind the last whole record; 0 if there is none.

    Args:
        block: Begins with a record.
        delimiter: What stands between cells.
        line: The number of the block's first line.
        at_end: Whether the file ends with the block.

    Raises:
        QuoteError: Text follows a quote that closes, or a quote is never closed.
    """
    if b'"' not in block:
        return len(block) if at_end else _last_line_end(block)
    codes = np.frombuffer(block, dtype=np.uint8)
    quotes = np.flatnonzero(codes == _QUOTE)
    if not _are_paired(codes, quotes, delimiter[0]) or (at_end and len(quotes) % 2):
        end = 0
        for record in records(block, delimiter, line, at_end=at_end):
            end = record.end
        return len(block) if at_end else end
    if at_end:
        return len(block)
    for code in (_NEWLINE, _RETURN):
        # What follows the last byte is not known: it may be the rest of a line's end.
        ends = np.flatnonzero(codes[: len(codes) - (code == _RETURN)] == code)
        outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
        if len(outside):
            return int(outside[-1]) + 1
    return 0


def records(
    block: bytes, delimiter: bytes, line: int = 1, *, at_end: bool = True
) -> Iterator[Record]:
    """Read the records of a block one by one; empty lines are none.

    Args:
        block: Begins with a record.
        delimiter: What stands between cells.
        line: The number of the block's first line.
        at_end: Whether the block's end is that of its last record.

    Raises:
        QuoteError: See `complete_records`.
    """
    cell = _cell(delimiter)
    position = 0
    while position < len(block):
        start, first, cells = position, line, []
        more = True
        while more:
            found = cell.match(block, position)
            assert found is not None, "a cell may be empty"
            quoted, closing, behind, plain, end = found.groups()
            if quoted is not None and (behind or not closing):
                if not at_end and not closing:
                    return
                raise _quote_error(line, quoted, closing, behind)
            cells.append(plain if quoted is None else quoted.replace(b'""', b'"'))
            if quoted is not None:
                line += line_ends(quoted)
            position = found.end()
            more = end == delimiter
        if not at_end and (not end or (end == b"\r" and position == len(block))):
            return
        line += 1
        if position - start > len(end):
            yield Record(first, cells, position)


def line_ends(text: bytes) -> int:
    """Count the ends of lines, of which a return with a newline is one."""
    newlines = text.count(b"\n")
    if b"\r" not in text:
        return newlines
    return newlines + text.count(b"\r") - text.count(b"\r\n")


def _last_line_end(block: bytes) -> int:
    end = block.rfind(b"\n") + 1
    # What follows the last byte is not known: it may be the rest of a line's end.
    return end or block.rfind(b"\r", 0, len(block) - 1) + 1


def _are_paired(
    codes: NDArray[np.uint8], quotes: NDArray[np.intp], delimiter: int
) -> bool:
    """Say whether each quote opens or closes a cell, or is doubled inside one.

    Then the quotes before a byte tell, by their number, whether it is inside a cell.
    """
    edges = [delimiter, _NEWLINE, _RETURN, _QUOTE]
    opening, closing = quotes[::2], quotes[1::2]
    before = codes[opening[opening > 0] - 1]
    after = codes[closing[closing < len(codes) - 1] + 1]
    return bool(np.isin(before, edges).all() and np.isin(after, edges).all())


@cache
def _cell(delimiter: bytes) -> re.Pattern[bytes]:
    d = re.escape(delimiter)
    quoted = rb'"([^"]*+(?:""[^"]*+)*+)("?)([^%b\r\n]*+)' % d
    return re.compile(rb"(?:%b|([^%b\r\n]*+))(%b|\r\n|\r|\n|\Z)" % (quoted, d, d))


def _quote_error(line: int, quoted: bytes, closing: bytes, behind: bytes) -> QuoteError:
    if not closing:
        return QuoteError(line, 'a " opens a cell here and is never closed')
    last = line + line_ends(quoted)
    where = "there" if last == line else f"on line {last}"
    text = behind[:16].decode("utf-8", "replace")
    finding = f'a " opens a cell, and is closed {where} before {text!r}'
    return QuoteError(line, f'{finding}; a quote inside a cell is written ""')
