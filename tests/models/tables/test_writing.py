"""Tables as they are written: their forms, and what is left where it goes wrong."""

import csv
import errno
import io
import json
import os
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sigmoid_models.messages import UserError
from sigmoid_models.tables.writing import (
    OutputError,
    OutputNameError,
    format_of,
    open_output,
)

NAMES = ["plain", "a,b", 'say "a"', "float", "flag", "when"]
TEXTS = ["x", "a,b", 'say "a"', "two\nlines", "", None, " é😀\t", "a\rb", "\x00\\"]
COUNT = len(TEXTS)
SMALL = np.array([0.1, 1e-9, 1, 0, np.nan, -np.inf, 5.584322e-06, 1e-45, 3.4e38])
COLUMNS = [
    pa.array(range(COUNT)),
    pa.array(TEXTS),
    pa.array(TEXTS).dictionary_encode(),
    pa.array(SMALL.astype(np.float32)),
    pa.array([True, False, None] * 3),
    pa.array(range(COUNT), pa.timestamp("ms")),
]


def written(path: Path | None, columns: list[Any], names: list[str]) -> None:
    """Write two batches, the second one the rows from the third on."""
    with open_output(path, names) as writer:
        writer.write(writer.encode(columns))
        writer.write(writer.encode([column.slice(2) for column in columns]))


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    written(path, COLUMNS, NAMES)
    header, *rows = csv.reader(io.StringIO(path.read_bytes().decode(), newline=""))
    assert header == NAMES
    assert rows[COUNT:] == rows[2:COUNT]
    plain, text, same, floats, flags, when = zip(*rows[:COUNT], strict=True)
    assert plain == tuple(map(str, range(COUNT)))
    assert text == same == tuple(cell or "" for cell in TEXTS)
    np.testing.assert_array_equal(np.array(floats, np.float32), SMALL.astype("f4"))
    assert flags == ("True", "False", "") * 3
    assert when[1] == "1970-01-01 00:00:00.001"
    # Quotes stand only where they must.
    assert path.read_text().splitlines()[1].startswith("0,x,x,0.1,True,")


@pytest.mark.parametrize("ending", ["jsonl", "ndjson", "JSONL"])
def test_json_lines(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    written(path, COLUMNS, NAMES)
    lines = path.read_bytes().decode().split("\n")
    assert lines.pop() == ""
    rows = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert rows[COUNT:] == rows[2:COUNT]
    assert [list(row) for row in rows] == [NAMES] * len(rows)
    assert [row["a,b"] for row in rows[:COUNT]] == TEXTS
    assert [row['say "a"'] for row in rows[:COUNT]] == TEXTS
    assert [row["plain"] for row in rows[:COUNT]] == list(range(COUNT))
    assert [row["flag"] for row in rows[:3]] == [True, False, None]
    assert [row["float"] for row in rows[4:6]] == [None, None]
    assert np.float32(rows[6]["float"]) == np.float32(5.584322e-06)
    assert rows[1]["when"] == "1970-01-01 00:00:00.001"


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    written(path, COLUMNS, NAMES)
    table = pq.read_table(path)
    assert table.column_names == NAMES
    assert [field.type for field in table.schema] == [c.type for c in COLUMNS]
    assert table.slice(0, COUNT).column("a,b").to_pylist() == TEXTS
    again = table.slice(COUNT).drop_columns(["float"])
    assert again == table.slice(2, COUNT - 2).drop_columns(["float"])


def test_parquet_in_groups_of_many_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with open_output(path, ["n"]) as writer:
        for start in range(0, 300_000, 1000):
            writer.write(writer.encode([pa.array(range(start, start + 1000))]))
    file = pq.ParquetFile(path)
    assert file.num_row_groups == 3
    assert file.read().column("n").to_pylist() == list(range(300_000))


def test_every_float32_comes_back(tmp_path: Path) -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 50_000, np.uint32)
    numbers = bits.view(np.float32)
    numbers = numbers[np.isfinite(numbers)]
    path = tmp_path / "t.csv"
    with open_output(path, ["n"]) as writer:
        writer.write(writer.encode([pa.array(numbers)]))
    found = np.array(path.read_text().split("\n")[1:-1], np.float64).astype(np.float32)
    np.testing.assert_array_equal(found.view(np.uint32), numbers.view(np.uint32))


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_what_is_no_text(tmp_path: Path, ending: str) -> None:
    with (
        pytest.raises(UserError, match="the column 'deep' cannot be written as text"),
        open_output(tmp_path / f"t.{ending}", ["deep"]) as writer,
    ):
        writer.encode([pa.array([{"a": [1]}])])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "finding"),
    [("t.xlsx", r"got \.xlsx"), ("t.csv.gz", r"got \.gz"), ("t", "without an ending")],
)
def test_names_that_say_no_form(tmp_path: Path, name: str, finding: str) -> None:
    with pytest.raises(OutputNameError, match=f"expected a name .*{finding}$"):
        format_of(tmp_path / name)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("error", [UserError, KeyboardInterrupt, MemoryError])
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_an_old_file_survives(
    tmp_path: Path, ending: str, error: type[BaseException]
) -> None:
    path = tmp_path / f"t.{ending}"
    path.write_text("old")

    def interrupted() -> None:
        with open_output(path, ["n"]) as writer:
            writer.write(writer.encode([pa.array(range(200_000))]))
            assert path.read_text() == "old"
            raise error

    with pytest.raises(error):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_full_disk(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    path = tmp_path / f"t.{ending}"
    path.write_text("old")
    with pytest.raises(OutputError) as refused:
        written(path, COLUMNS[:1], NAMES[:1])
    assert str(refused.value) == (
        f"{path} cannot be written: No space left on device; what was there before "
        "is unchanged"
    )
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
def test_a_device_that_is_full() -> None:
    with pytest.raises(OutputError, match=r"^/dev/full cannot be written: No space"):
        written(Path("/dev/full"), COLUMNS, NAMES)


def test_a_pipe_is_written_straight(tmp_path: Path) -> None:
    path = tmp_path / "pipe.jsonl"
    os.mkfifo(path)
    found: list[str] = []
    reader = Thread(target=lambda: found.append(path.read_text()))
    reader.start()
    written(path, [pa.array([1, 2, 3])], ["n"])
    reader.join()
    assert found == ['{"n":1}\n{"n":2}\n{"n":3}\n{"n":3}\n']
    assert path.is_fifo()
    written(Path(os.devnull), COLUMNS, NAMES)


@pytest.mark.parametrize("path", [None, Path("-"), Path("/dev/stdout")])
def test_standard_output(path: Path | None, capfdbinary: Any) -> None:
    written(path, [pa.array(["é", "b", "c"])], ["n"])
    assert capfdbinary.readouterr().out == "n\né\nb\nc\nc\n".encode()
