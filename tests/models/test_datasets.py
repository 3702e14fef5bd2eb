"""Tables and bundled sets as rows with a class each."""

import random
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from sigmoid_models.messages import UserError
from sigmoid_models.tables.reading import ReadOptions
from sigmoid_models.training.bundled import BUNDLED
from sigmoid_models.training.datasets import (
    Dataset,
    DatasetError,
    check_rows_per_class,
    load_bundled,
    load_csv,
    load_labelled,
)


def csv_file(folder: Path, content: str | bytes) -> Path:
    path = folder / "data.csv"
    if isinstance(content, str):
        content = content.encode()
    path.write_bytes(content)
    return path


def table(labels: Sequence[object], **columns: Sequence[object]) -> str:
    """Write a table whose column `y` has the labels, with squares beside them."""
    squares = [i * i for i in range(len(labels))]
    every: dict[str, Sequence[object]] = {"y": labels, "x": squares, **columns}
    rows = zip(*every.values(), strict=True)
    lines = [",".join(map(str, row)) for row in rows]
    return "\n".join([",".join(every), *lines, ""])


def refusal(path: Path, target: str, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        load_csv(path, target, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")


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
    assert dataset.notes == ()


@pytest.mark.parametrize(
    ("content", "target", "expected"),
    [
        ("", "k", "it is empty: expected a line of names of columns, and rows"),
        ("\n\n", "k", "it is empty: expected a line of names of columns, and rows"),
        (b"a,k\n\xff\x81,1\n", "k", "line 2 is neither UTF-8 nor Windows-1252"),
        ('a,k\n"1,x\n', "k", 'line 2: a " opens a cell here and is never closed'),
        ("a,k\n" + "1" * 200_000 + ",x\n2,y\n", "k", "beyond the largest float64"),
        ("a,k\n", "k", "there is no row under the header"),
        ("a,a,k\n1,2,x\n", "k", "the header names a column twice: 'a'"),
        ("a,k\n1,x\n1,x,y\n", "k", "line 3 has 3 cells, the header 2"),
        ("a,k\n1\n", "k", "line 2 has 1 cell, the header 2"),
        ("a,k\n1,x\n", "z", "there is no column 'z'; the header has 'a', 'k'"),
        ('"a\n\u2028b","k\x1b"\n1,x\n', "k", r"the header has 'k\x1b', 'a\n\u2028b'"),
        ("k\nx\ny\n", "k", "there is no column beside 'k'"),
        ("a,k\n1,x\n2,x\n", "k", "it must name two classes or more, and has one"),
        ("a,k\n1,x\n2,\n", "k", "there is 1 row without a class in column 'k'"),
        ("a,k\n1,x\n,y\n", "k", "'a' has no value in 1 of 2 rows (first: line 3)"),
        ("a,k\n1,x\ntwo,y\n", "k", "no number in 1 of 2 rows (first: line 3, 'two')"),
        ("a,k\nnan,x\n2,y\n", "k", "no value in 1 of 2 rows (first: line 2, 'nan'"),
        ("a,k\n1,x\n-inf,y\n", "k", "line 3, '-inf': beyond the largest float64"),
        ("a,k\n1,x\n1e999,y\n", "k", "line 3, '1e999': beyond the largest float64"),
        ("a,k\n1_000,x\n2,y\n", "k", "'1_000': digits are grouped by thousands"),
    ],
)
def test_refused(
    tmp_path: Path, content: str | bytes, target: str, expected: str
) -> None:
    assert expected in refusal(csv_file(tmp_path, content), target)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "missing.csv", "y") == "No such file or directory"
    assert refusal(tmp_path, "y") == "Is a directory"


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    columns = {"x": [1, 2, 3], "k": [0.0, 1.0, 0.0], "z": ["a", "b", "c"]}
    parquet.write_table(pa.table(columns), path)
    dataset = load_csv(path, "k", drop=["z"])
    assert dataset.classes == ("0", "1")
    assert dataset.rows.tolist() == [[1], [2], [3]]
    assert "'z' has no number in 3 of 3 rows (first: row 1, 'a')" in refusal(path, "k")


def test_a_command_that_settles_it(tmp_path: Path) -> None:
    """What the message prints is run: then the table is read."""
    folder = tmp_path / "my data"
    folder.mkdir()
    count = 30
    columns: dict[str, Sequence[object]] = {
        "full name": [f'"Doe, J{i}"' for i in range(count)],
        "age": [i if i % 3 else "NA" for i in range(count)],
        "both": [i % 2 or "" if i % 5 else "?x" for i in range(count)],
        "z": [i / 7 for i in range(count)],
    }
    text = table(["no", "yes"] * 15, **columns)
    path = csv_file(folder, text)
    message = refusal(path, "y", drop=["z"])
    assert (
        "'full name' has no number in 30 of 30 rows (first: line 2, 'Doe, J0'), "
        "'age' has no value in 10 of 30 rows (first: line 2, 'NA': a missing value), "
        "'both' has no value in 12 and no number in 6 of 30 rows "
        "(first: line 2, '?x'); try: sigmoid-serve train "
    ) in message
    words = shlex.split(message.partition("; try: ")[2])
    assert words[:5] == ["sigmoid-serve", "train", str(path), "--target", "y"]
    assert words[5::2] == ["--drop"] * 4
    assert load_csv(path, "y", drop=words[6::2]).features == ("x",)


def test_the_command_keeps_what_was_said(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "1;a;x\n2;b;y\n")
    options = ReadOptions(decimal=",", has_header=False)
    message = refusal(path, "column_3", positive="x", options=options)
    end = "--target column_3 --positive x --decimal , --no-header --drop column_2"
    assert message.endswith(end)


def test_a_decimal_comma_is_not_dropped(tmp_path: Path) -> None:
    text = table(["a", "b"] * 9, p=['"1,5"'] * 18, q=["text"] * 18)
    path = csv_file(tmp_path, text)
    message = refusal(path, "y")
    assert message.endswith("--target y --decimal , --drop q")
    dataset = load_csv(path, "y", drop=["q"], options=ReadOptions(decimal=","))
    assert dataset.rows[0].tolist() == [0, 1.5]


def test_thousands_are_not_read_as_decimals(tmp_path: Path) -> None:
    path = csv_file(tmp_path, table(["a", "b"] * 9, p=['"1,500"'] * 18))
    message = refusal(path, "y")
    assert "digits are grouped by thousands" in message
    assert message.endswith("--target y --drop p")


def test_the_message_is_short_however_many_columns(tmp_path: Path) -> None:
    columns = {f"a name {i}": ["t"] * 20 for i in range(2000)}
    message = refusal(csv_file(tmp_path, table(["a", "b"] * 10, **columns)), "y")
    assert "and 1,992 more columns" in message
    assert message.endswith("more --drop")
    assert len(message) < 2000


def test_nothing_would_be_left(tmp_path: Path) -> None:
    message = refusal(csv_file(tmp_path, "k,a\nx,u\ny,v\n"), "k")
    assert "no other column is left" in message
    assert "--drop" not in message


def test_dropped_columns(tmp_path: Path) -> None:
    path = csv_file(tmp_path, table(["a", "b"] * 9, Age=["t"] * 18, z=[2.5] * 18))
    assert load_csv(path, "y", drop=["Age", "z"]).features == ("x",)
    message = refusal(path, "y", drop=["age", "w"])
    assert "there are no 2 columns 'age', 'w'; the header has 'Age', " in message
    assert "'y' is the target, and dropped" in refusal(path, "y", drop=["y"])
    message = refusal(path, "y", drop=["x", "Age", "z"])
    assert message == "there is no column beside 'y' and what is dropped"


@pytest.mark.parametrize("name", ["pandas_index", "pandas_values"])
def test_an_index_of_pandas(tmp_path: Path, name: str) -> None:
    start = 0 if name == "pandas_index" else 5
    lines = [f"{i + start},{i * i},{'ab'[i % 2]}" for i in range(20)]
    path = csv_file(tmp_path, "\n".join([",x,y", *lines]))
    message = refusal(path, "y")
    counting = "" if start else " and only numbers the rows"
    assert f"column 1 has no name{counting}; try: " in message
    assert message.endswith("--target y --drop ''")
    assert load_csv(path, "y", drop=[""]).features == ("x",)


def test_rows_of_nothing(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "a,b,k\n1,2,x\n3,4,y\n,,\n,,\n")
    assert refusal(path, "k").startswith(
        "there are 2 rows without any number, the first at line 4; take the rows out"
    )


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["b", "a"], ("a", "b")),
        ([1, 0], ("0", "1")),
        ([10, 9], ("9", "10")),
        (["-1", "+1"], ("-1", "+1")),
        ([10, 9, "x"], ("10", "9", "x")),
        (["1_0", "9"], ("1_0", "9")),
        (["inf", "9"], ("9", "inf")),
        (["True", "False"], ("False", "True")),
    ],
)
def test_the_order_of_classes(
    tmp_path: Path, labels: list[object], classes: tuple[str, ...]
) -> None:
    dataset = load_csv(csv_file(tmp_path, table(labels * 6)), "y")
    assert dataset.classes == classes
    named = [dataset.classes[target] for target in dataset.targets]
    assert named == [*map(str, labels)] * 6


def test_positive(tmp_path: Path) -> None:
    path = csv_file(tmp_path, table(["no", "yes"] * 6))
    assert load_csv(path, "y", positive="yes").classes == ("no", "yes")
    dataset = load_csv(path, "y", positive="no")
    assert dataset.classes == ("yes", "no")
    assert dataset.targets.tolist() == [1, 0] * 6
    message = refusal(path, "y", positive="No")
    assert message == "--positive 'No' is none of the classes 'no', 'yes'"
    path = csv_file(tmp_path, table(["a", "b", "c"] * 6))
    message = refusal(path, "y", positive="a")
    assert message == "--positive is for two classes, and here are 3: 'a', 'b', 'c'"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([f"id{i}" for i in range(60)], "it has 60 different values in 60 rows, such"),
        ([i / 7 for i in range(60)], "from 0 to 8.42857: this trains classifiers"),
        ([(i % 30) / 4 for i in range(600)], "30 different values in 600 rows, from"),
        (list(range(60)), "'0', '1', '2': this trains classifiers; name a column"),
        (["only"] * 20, "two classes or more, and has one value, 'only'"),
    ],
)
def test_no_classes(tmp_path: Path, labels: list[object], expected: str) -> None:
    message = refusal(csv_file(tmp_path, table(labels)), "y")
    assert message.startswith("column 'y': it ")
    assert expected in message


@pytest.mark.parametrize(
    "labels",
    [
        [*range(100)] * 6,  # as many classes as a network may have
        [x / 2 for x in range(10)] * 6,  # stars of a review
    ],
)
def test_many_classes(tmp_path: Path, labels: list[object]) -> None:
    load_csv(csv_file(tmp_path, table(labels)), "y")


@pytest.mark.parametrize(
    ("labels", "note"),
    [
        (
            ["No", "no", "No ", "yes"],
            "the labels 'No' (5 rows), 'No ' (5 rows), 'no' (5 rows) differ only in",
        ),
        (["New York", "new  york"], "'New York' (5 rows), 'new  york' (5 rows) differ"),
        (["1", "1.0", "0"], "the labels '1' (5 rows), '1.0' (5 rows) differ only in"),
        (["NA", "EU"], "the label 'NA' (5 rows) is a class; where it means none"),
    ],
)
def test_odd_labels(tmp_path: Path, labels: list[object], note: str) -> None:
    dataset = load_csv(csv_file(tmp_path, table(labels * 5)), "y")
    assert note in dataset.notes[0]


def test_odd_columns(tmp_path: Path) -> None:
    count = 30
    shuffled = random.Random(0).sample(range(count), count)
    text = table(
        ["a", "b"] * 15,
        index=[*range(1, count + 1)],
        shuffled=list(shuffled),
        year=[2020] * count,
    )
    notes = load_csv(csv_file(tmp_path, text), "y").notes
    assert notes == (
        "'year' is the same in all rows: leave it out with --drop year",
        "'index', 'shuffled' only number the rows: "
        "leave them out with --drop index --drop shuffled",
    )


def test_how_it_was_read_is_told(tmp_path: Path) -> None:
    text = table(["é", "b"] * 9).replace(",", ";")
    notes = load_csv(csv_file(tmp_path, text.encode("cp1252")), "y").notes
    assert notes == ("`;` between cells", "read as Windows-1252")


def test_rows_per_class(tmp_path: Path) -> None:
    dataset = load_csv(csv_file(tmp_path, table(["a"] * 9 + ["b"] + ["c"] * 3)), "y")
    check_rows_per_class(dataset, 1)
    with pytest.raises(DatasetError) as caught:
        check_rows_per_class(dataset, 5)
    assert str(caught.value).startswith(
        "data.csv: 2 classes have fewer than 5 rows: 'b' has 1 row, 'c' has 3 rows; "
    )
    names = tuple(f"class {i}" for i in range(500))
    few = Dataset("d", np.zeros((500, 1)), ("x",), np.arange(500), names)
    with pytest.raises(DatasetError, match="and 492 more"):
        check_rows_per_class(few, 5)


def test_a_million_cells_are_no_list(tmp_path: Path) -> None:
    """Rows of several blocks, as numbers that were never a list of text."""
    count = 150_000
    lines = [f"{i},{i / 8},{'ab'[i % 2]}" for i in range(count)]
    dataset = load_csv(csv_file(tmp_path, "\n".join(["p,q,y", *lines])), "y")
    assert dataset.rows.shape == (count, 2)
    assert dataset.rows[:, 1].tolist() == [i / 8 for i in range(count)]
    assert dataset.targets.tolist() == [0, 1] * (count // 2)
    assert len(dataset.notes) == 1


def test_labelled_rows(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "b,y,a,text\n1,u,2,x\n3,w,4,\n5,u,6,z\n")
    dataset = load_labelled(path, "y", ("a", "b"), ("v", "u", "w"), count=2)
    assert dataset.rows.tolist() == [[2, 1], [4, 3], [6, 5]]
    assert dataset.targets.tolist() == [1, 2, 1]
    assert dataset.classes == ("v", "u", "w")
    assert dataset.features == ("a", "b")
    path = csv_file(tmp_path, "b;y;a\n1,5;0;2\n")
    dataset = load_labelled(path, "y", None, ("0", "1"), count=2)
    assert dataset.rows.tolist() == [[1.5, 2]]
    assert dataset.features == ("b", "a")
    assert dataset.notes == ("`;` between cells, decimal comma",)


@pytest.mark.parametrize(
    ("text", "features", "expected"),
    [
        ("a,y\n1,u\n", ("a", "b", "c"), "there are no 2 columns 'b', 'c'; the header"),
        ("a,b,z\n1,2,u\n", ("a", "b"), "there is no column 'y'"),
        ("a,y\n1,u\n", None, "the model takes 2 features, beside 'y' are 1 columns: "),
        ("a,b,y\n1,x,u\n", None, "line 2, column 'b': expected a finite number"),
        ("a,b,y\n1,2,\n", None, "there is 1 row without a class in column 'y'"),
        (
            "a,b,y\n1,2,v\n1,2,U\n1,2,U\n1,2,else\n",
            None,
            "column 'y': 2 labels are no classes of the model: 'U' (2 rows, the first "
            "at line 3), perhaps 'u', 'else' (1 row, the first at line 5); its classes "
            "are 'u', 'v'",
        ),
    ],
)
def test_no_labelled_rows(
    tmp_path: Path, text: str, features: tuple[str, ...] | None, expected: str
) -> None:
    path = csv_file(tmp_path, text)
    with pytest.raises(UserError) as caught:
        load_labelled(path, "y", features, ("u", "v"), count=2)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled(name: str) -> None:
    dataset = load_bundled(name)
    rows, features = dataset.rows.shape
    assert dataset.name == name
    assert len(dataset.features) == features
    assert len(dataset.targets) == rows
    assert set(dataset.targets.tolist()) == set(range(len(dataset.classes)))
    assert bool(np.isfinite(dataset.rows).all())
