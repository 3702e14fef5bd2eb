"""Tables for the tests: written, and read with all their rows."""

from pathlib import Path
from typing import NamedTuple

import pytest

from sigmoid_models.tables.reading import ReadOptions, TableError, open_table

FOUND_OUT = ReadOptions()


class Read(NamedTuple):
    """What was read of a table: names, cells as text row by row, places, notes."""

    names: tuple[str, ...]
    rows: list[list[str]]
    places: list[str]
    notes: tuple[str, ...]


def written(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path, options: ReadOptions = FOUND_OUT) -> Read:
    rows: list[list[str]] = []
    places: list[str] = []
    with open_table(path, options) as table:
        for batch in table.batches():
            assert batch.first_row == len(rows)
            columns = [batch.texts(name) for name in table.names]
            rows += [list(row) for row in zip(*columns, strict=True)]
            places += [batch.place(row) for row in range(batch.rows)]
        return Read(table.names, rows, places, table.notes)


def refusal(path: Path, options: ReadOptions = FOUND_OUT) -> str:
    """Return the message of the error, without the path."""
    with pytest.raises(TableError) as caught:
        read(path, options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")
