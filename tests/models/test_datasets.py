"""CSV files and bundled sets."""

from pathlib import Path

import numpy as np
import pytest

from sigmoid_models.training.bundled import BUNDLED
from sigmoid_models.training.datasets import (
    DatasetError,
    load_bundled,
    load_csv,
    read_table,
)


def csv_file(folder: Path, content: str | bytes) -> Path:
    path = folder / "data.csv"
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content)
    return path


def test_good(tmp_path: Path) -> None:
    path = csv_file(
        tmp_path,
        '\ufeffa,kind,"b, c"\r\n1,yes,2.5\r\n\r\n-1e3, no ,0\r\n.5,yes,1\r\n',
    )
    dataset = load_csv(path, "kind")
    assert dataset.name == "data.csv"
    assert dataset.features == ("a", "b, c")
    assert dataset.classes == (" no ", "yes")
    assert dataset.targets.tolist() == [1, 0, 1]
    assert dataset.rows.tolist() == [[1, 2.5], [-1000, 0], [0.5, 1]]
    assert dataset.rows.dtype == np.float64


def test_columns_come_in_the_order_asked(tmp_path: Path) -> None:
    table = read_table(csv_file(tmp_path, "a,b,c\n1,2,x\n3,4,y\n"))
    assert table.numbers(("b", "a")).tolist() == [[2, 1], [4, 3]]
    assert table.column("c") == ["x", "y"]


@pytest.mark.parametrize(
    ("content", "target", "expected"),
    [
        ("", "k", "not a CSV file with a header"),
        ("\n\n", "k", "not a CSV file with a header"),
        (b"a,k\n\xff,1\n", "k", "not a CSV file with a header"),
        ('a,k\n"1,x\n', "k", "not a CSV file with a header"),
        ("a,k\n" + "1" * 200_000 + ",x\n", "k", "not a CSV file with a header"),
        ("a,k\n", "k", "there is no row under the header"),
        ("a,a,k\n1,2,x\n", "k", "the header names a column twice"),
        ("a,k\n1,x\n1,x,y\n", "k", "record 3 has 3 cells, the header 2"),
        ("a,k\n1\n", "k", "record 2 has 1 cells, the header 2"),
        ("a,k\n1,x\n", "z", "there is no column 'z'; the header has a, k"),
        ('"a\nb\u2028","k\x1b"\n1,x\n', "k", r"the header has a\nb\u2028, k\x1b"),
        ("k\nx\ny\n", "k", "there is no column beside 'k'"),
        ("a,k\n1,x\n2,x\n", "k", "'k' must name two classes or more"),
        ("a,k\n1,x\n2,\n", "k", "'k' must name two classes or more"),
        ("a,k\n1,x\n,y\n", "k", "record 3, column 'a': expected a finite number"),
        ("a,k\n1,x\ntwo,y\n", "k", "got 'two'"),
        ("a,k\nnan,x\n2,y\n", "k", "record 2, column 'a'"),
        ("a,k\n1,x\n-inf,y\n", "k", "got '-inf'"),
        ("a,k\n1,x\n1e999,y\n", "k", "got '1e999'"),
        ("a,k\n1_000,x\n2,y\n", "k", "got '1_000'"),
    ],
)
def test_refused(
    tmp_path: Path, content: str | bytes, target: str, expected: str
) -> None:
    path = csv_file(tmp_path, content)
    with pytest.raises(DatasetError) as caught:
        load_csv(path, target)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_path_of_two_lines(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        read_table(tmp_path / "a\nb.csv")
    assert str(caught.value) == rf"{tmp_path}/a\nb.csv: No such file or directory"


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No such file"):
        read_table(tmp_path / "missing.csv")
    with pytest.raises(DatasetError, match="Is a directory"):
        read_table(tmp_path)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled(name: str) -> None:
    dataset = load_bundled(name)
    rows, features = dataset.rows.shape
    assert dataset.name == name
    assert len(dataset.features) == features
    assert len(dataset.targets) == rows
    assert set(dataset.targets.tolist()) == set(range(len(dataset.classes)))
    assert bool(np.isfinite(dataset.rows).all())
