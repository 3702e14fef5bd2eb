"""CSV as it is in the wild: what parts cells and lines, quotes, and what is broken."""

import random
from pathlib import Path

import pytest

from sigmoid_models.tables import csv_table
from sigmoid_models.tables.reading import ReadOptions, TableError, open_table
from tests.models.tables.reader import read, refusal, written

ROWS = [["1", "2.5"], ["3", "4"]]


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2.5\n3,4\n",
        "a,b\n1,2.5\n3,4",
        "\ufeffa,b\r\n1,2.5\r\n3,4\r\n",
        "a,b\r1,2.5\r3,4\r",
        "a,b\r1,2.5\n3,4\r\n",
        "a;b\n1;2.5\n3;4\n",
        "a\tb\n1\t2.5\n3\t4\n",
        "a|b\n1|2.5\n3|4\n",
        "sep=;\na;b\n1;2.5\n3;4\n",
        '"a","b"\n"1","2.5"\n"3","4"\n',
        "a, b\n1,2.5\n3,4\n",
        '"a", "b"\n1,2.5\n3,4\n',
        "\n\na,b\n\n1,2.5\r\n\r\n3,4\n\n",
        "a,b,\n1,2.5,\n3,4,\n",
    ],
)
def test_shapes(tmp_path: Path, text: str) -> None:
    found = read(written(tmp_path, text))
    assert found.names == ("a", "b")
    assert found.rows == ROWS


def test_a_header_with_the_delimiter_in_quotes(tmp_path: Path) -> None:
    found = read(written(tmp_path, '"size, cm; about";"b ""x"""\n1;2\n'))
    assert found.names == ("size, cm; about", 'b "x"')
    assert found.notes == ("`;` between cells",)


def test_one_column(tmp_path: Path) -> None:
    assert read(written(tmp_path, "a\n1\n\n2\n")).rows == [["1"], ["2"]]


def test_text_stays_as_it_is(tmp_path: Path) -> None:
    text = 'a,b\n" x\r\ny ",5" pipe\n"",\'q\'\n"""", 1 \n'
    found = read(written(tmp_path, text))
    assert found.rows == [[" x\r\ny ", '5" pipe'], ["", "'q'"], ['"', " 1 "]]
    assert found.places == ["line 2", "line 4", "line 5"]


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    text = 'sep=,\n\n"a\nx",b\n\n1,"q\r\n\r\nr"\n\n2,y\n'
    found = read(written(tmp_path, text))
    assert found.names == ("a\nx", "b")
    assert found.places == ["line 6", "line 10"]


@pytest.mark.parametrize("seed", range(300))
def test_cells_and_lines_in_blocks_of_any_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Quoted ends of lines and delimiters, wherever one block ends."""
    rng = random.Random(seed)
    monkeypatch.setattr(csv_table, "_BLOCK", rng.choice([8, 16, 40, 64, 1000]))
    delimiter, end = rng.choice(",;\t|"), rng.choice(["\n", "\r\n", "\r"])
    texts = ["1", "x y", 'a"b', "q\nr", "q\r\nr", "\r", f"a{delimiter}b"]
    texts += ['""', '"', "", "é", '5"', " 7 "]
    columns = rng.randint(2, 4)
    content = delimiter.join("abcd"[:columns]) + end
    rows, places, line = [], [], 2
    for _ in range(rng.randint(1, 12)):
        if rng.random() < 0.15:
            content, line = content + end, line + 1
        row = [*rng.choices(texts, k=columns - 1), "last"]
        cells = [_quoted(cell, delimiter, rng) for cell in row]
        rows.append(row)
        places.append(f"line {line}")
        content += delimiter.join(cells) + end
        inside = "".join(row).replace("\r\n", "\n")
        line += 1 + inside.count("\n") + inside.count("\r")
    found = read(written(tmp_path, content), ReadOptions(has_header=True))
    assert found.rows == rows
    assert found.places == places


def _quoted(cell: str, delimiter: str, rng: random.Random) -> str:
    must = cell.startswith('"') or any(c in cell for c in f"{delimiter}\r\n")
    doubled = cell.replace('"', '""')
    return f'"{doubled}"' if must or rng.random() < 0.3 else cell


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("", "it is empty: expected a line of names"),
        ("\ufeff", "it is empty"),
        ("\n\r\n\n", "it is empty"),
        ("a,b", "there is no row under the header"),
        ("a,b\n\n\n", "there is no row under the header"),
        ("a,b\n1,2\n\n3\n", "line 4 has 1 cell, the header 2"),
        ('a,b\n"x\n\ny",2\n3,4,5\n', "line 5 has 3 cells, the header 2"),
        ("a,b\n1,2,\n", "line 2 has 3 cells, the header 2: it ends with a delimiter"),
        ("Report\n\na,b\n1,2\n", "line 3 has 2 cells, the header 1"),
        ("a,b\n1,2\n3,\0\n", "line 3 holds a NUL byte"),
        ('a,b\n1,2\n"3,4\n5,6\n', 'line 3: a " opens a cell here and is never closed'),
        ('"a,b\n1,2\n', 'line 1: a " opens a cell here and is never closed'),
        (
            'a,b\n1,2\n"abc,3\n5,"x"\n',
            "line 3: a \" opens a cell, and is closed on line 4 before 'x\"'",
        ),
        ('a,b\n1,"x"y\n', "line 2: a \" opens a cell, and is closed there before 'y'"),
        ("a,b,a,b,c\n1,2,3,4,5\n", "the header names a column twice: 'a', 'b'"),
        ("a,a \n1,2\n", "the header names a column twice: 'a'"),
    ],
)
def test_broken(tmp_path: Path, text: str, finding: str) -> None:
    assert finding in refusal(written(tmp_path, text))


def test_a_trailing_delimiter_that_is_a_column_after_all(tmp_path: Path) -> None:
    text = "a,b,\n" + "1,2,\n" * 150 + "3,4,5\n"
    assert "line 152 has 3 cells, the header 2" in refusal(written(tmp_path, text))


def test_a_quote_that_would_swallow_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_table, "_BLOCK", 64)
    monkeypatch.setattr(csv_table, "_LONGEST_RECORD", 512)
    text = 'a,b\n1,"2\n' + "3,4\n" * 1000
    assert 'line 2: a " opens a cell here' in refusal(written(tmp_path, text))
    text = "a,b\n1," + "2" * 4000 + "\n"
    assert "line 2 begins a row of more than" in refusal(written(tmp_path, text))


def test_what_is_broken_late_comes_after_the_rows_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_table, "_BLOCK", 64)
    path = written(tmp_path, "a,b\n" + "1,2\n" * 100 + "3\n")
    with open_table(path) as table:
        batches = table.batches()
        first = next(batches)
        assert 10 < first.rows < 40
        assert first.numbers(("b",)).tolist() == [[2.0]] * first.rows
        assert 0 < table.read_fraction <= 1
        assert table.rows is None
        with pytest.raises(TableError, match="line 102 has 1 cell, the header 2"):
            list(batches)
        assert table.read_fraction == 1


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    path = written(tmp_path, "b,Sepal Length,c,d\n1,2,3,4\n")
    with open_table(path) as table:
        table.require(["b", "b"])
        with pytest.raises(TableError) as caught:
            table.require(["b", "sepal length", "x", "x"])
        found = "the header has 'Sepal Length', 'b', 'c', 'd'"
        assert str(caught.value) == (
            f"{path}: there are no 2 columns 'sepal length', 'x'; {found}"
        )
        [batch] = table.batches()
        assert batch.numbers(("d", "b")).tolist() == [[4, 1]]
        assert batch.arrow("c").to_pylist() == ["3"]
        with pytest.raises(TableError, match="there is no column 'y'"):
            batch.texts("y")


def test_many_columns_are_not_all_listed(tmp_path: Path) -> None:
    names = ",".join(f"x{i}" for i in range(3000))
    path = written(tmp_path, f"{names}\n{names}\n")
    with open_table(path, ReadOptions(has_header=True)) as table:
        with pytest.raises(TableError) as caught:
            table.require([f"y{i}" for i in range(500)])
        assert "and 492 more; the header has" in str(caught.value)
        assert len(str(caught.value)) < 500
