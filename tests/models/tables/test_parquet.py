"""Parquet: numbers of any type, text, and what is neither."""

import datetime
import decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from sigmoid_models.tables.reading import ReadOptions, TableError, open_table
from tests.models.tables.reader import read, refusal


def parquet_file(folder: Path, columns: dict[str, Any], **options: Any) -> Path:
    # The first bytes say what it is, not the suffix.
    path = folder / "data.csv"
    parquet.write_table(pa.table(columns), path, **options)
    return path


@pytest.mark.parametrize(
    ("values", "numbers", "texts"),
    [
        (pa.array([1, -2], pa.int8()), [1, -2], ["1", "-2"]),
        (
            pa.array([2**64 - 1, 2**53 + 1], pa.uint64()),
            [2.0**64, 2.0**53],
            ["18446744073709551615", "9007199254740993"],
        ),
        (pa.array([1.0, 0.1]), [1, 0.1], ["1", "0.1"]),
        (pa.array([1.5, 0.25], pa.float16()), [1.5, 0.25], ["1.5", "0.25"]),
        (
            pa.array([0.1, 2], pa.float32()),
            [0.10000000149011612, 2],
            ["0.1", "2"],
        ),
        (
            pa.array([decimal.Decimal("0.1"), decimal.Decimal("1.2")]),
            [0.1, 1.2],
            ["0.1", "1.2"],
        ),
        (pa.array([" +1", "2e3"]), [1, 2000], [" +1", "2e3"]),
        (pa.array(["7", "8"], pa.large_string()), [7, 8], ["7", "8"]),
        (pa.array(["7", "7"]).dictionary_encode(), [7, 7], ["7", "7"]),
    ],
)
def test_columns(
    tmp_path: Path, values: Any, numbers: list[float], texts: list[str]
) -> None:
    path = parquet_file(tmp_path, {"a": values})
    with open_table(path, ReadOptions(has_header=False)) as table:
        assert table.rows == 2
        [batch] = table.batches()
        assert batch.numbers(("a",))[:, 0].tolist() == numbers
        assert batch.texts("a") == texts
        assert table.read_fraction == 1
        assert table.notes == ()


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        (None, "got '' (a missing value)"),
        (float("nan"), "(a missing value)"),
        (float("inf"), "got 'inf' (beyond the largest float64)"),
        ("x", "got 'x'"),
        (True, "got 'True'"),
        (datetime.date(2020, 1, 2), "got '2020-01-02'"),
        ([1], "got '[1]'"),
    ],
)
def test_no_numbers(tmp_path: Path, value: object, finding: str) -> None:
    path = parquet_file(tmp_path, {"a": [value]})
    with open_table(path) as table:
        [batch] = table.batches()
        with pytest.raises(TableError) as caught:
            batch.numbers(("a",))
    start = f"{path}: row 1, column 'a': expected a finite number, "
    assert str(caught.value).startswith(start)
    assert finding in str(caught.value)


def test_text_of_other_columns(tmp_path: Path) -> None:
    days = [datetime.date(2020, 1, 2), None]
    path = parquet_file(tmp_path, {"a": days, "b": [True, False], "c": [[1], [2]]})
    with open_table(path) as table:
        [batch] = table.batches()
        assert batch.texts("a") == ["2020-01-02", ""]
        assert batch.texts("b") == ["true", "false"]
        with pytest.raises(TableError, match=r"'c' holds list<.*, which is no text"):
            batch.texts("c")


def test_rows_are_counted_through_all_batches(tmp_path: Path) -> None:
    path = parquet_file(tmp_path, {"a": range(70_000)}, row_group_size=30_000)
    found = read(path)
    assert [row[0] for row in found.rows] == [str(i) for i in range(70_000)]
    assert found.places[-1] == "row 70000"


def test_refused(tmp_path: Path) -> None:
    assert refusal(parquet_file(tmp_path, {"a": pa.array([], pa.int8())})) == (
        "there is no row"
    )
    table = pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])
    path = tmp_path / "twice.parquet"
    parquet.write_table(table, path)
    assert refusal(path) == "columns are named twice: 'a'"


def test_damaged_rows(tmp_path: Path) -> None:
    path = parquet_file(tmp_path, {"a": [str(i) for i in range(10_000)]})
    content = bytearray(path.read_bytes())
    content[40:4000] = b"\xff" * 3960
    path.write_bytes(content)
    assert "damaged" in refusal(path)
