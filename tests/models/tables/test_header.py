"""Whether the first line names the columns: no row may be taken for names."""

from pathlib import Path

import pytest

from sigmoid_models.tables.reading import ReadOptions
from tests.models.tables.reader import read, refusal, written

NO_HEADER = ReadOptions(has_header=False)
HEADER = ReadOptions(has_header=True)


@pytest.mark.parametrize(
    "text",
    [
        "0.1,0.2,0.3\n1,2,3\n4,5,6\n",  # all numbers
        "5.1,3.5,Iris-setosa\n4.9,3.0,Iris-setosa\n",  # iris.data
        "M,0.455,0.365\nF,0.44,0.38\nM,0.3,0.2\n",  # abalone.data
        "5,0,0,0\n0,0,0,0\n",  # digits, the class first
        "p,x,s\ne,x,s\np,x,y\n",  # mushrooms: text alone, and again below
        "vhigh,2,2,low\nvhigh,3,4,low\n",
        "Braund,22,7.25\nCumings,38,71.28\n",  # text that never comes again
        ",0.5,0.25\n1,0.5,0.25\n",  # the first value is missing
        "7\n8\n",
        "1\n2\n",
        "+1,-2\n3,4\n",
        "1;2,5\n3;4,5\n",
    ],
)
def test_a_row_is_not_taken_for_names(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    message = refusal(path)
    assert message.startswith("line 1 looks like a row, not like names of columns: ")
    assert "--no-header" in message
    assert "--header" in message
    count = len(text.splitlines())
    found = read(path, NO_HEADER)
    assert found.names == tuple(f"column_{i + 1}" for i in range(len(found.names)))
    assert len(found.rows) == count
    assert found.places[0] == "line 1"
    first = found.rows[0]
    if len(set(first)) == len(first):
        assert len(read(path, HEADER).rows) == count - 1
    else:
        assert "names a column twice" in refusal(path, HEADER)


@pytest.mark.parametrize(
    "text",
    [
        "a,b,c\n1,2,x\n",
        ",a,b\n0,1,2\n",  # pandas, with its index
        "0,1,2\n4.5,5.5,6.5\n",  # pandas, without names
        ",0,1,2\n0,4.5,5.5,6.5\n",
        "1,2,3\n4.5,5.5,6.5\n",
        "0,1,class\n4.5,5.5,x\n",
        "country,1990,1991,1992\nA,1,2,3\n",
        "class,400.5,401.0,401.5\nx,1,2,3\n",  # wavelengths
        "no,x\nyes,1\nno,2\n",  # one name that is a value, too
        "a,,c\n1,2,3\n",
        "a\nb\n",
    ],
)
def test_names_are_not_taken_for_a_row(tmp_path: Path, text: str) -> None:
    found = read(written(tmp_path, text))
    assert len(found.rows) == len(text.splitlines()) - 1


def test_names_that_are_numbers_are_pointed_out(tmp_path: Path) -> None:
    [note] = read(written(tmp_path, "1,2\n3,4\n")).notes
    assert note.startswith("the columns are called '1', '2', by line 1; give --no-hea")


def test_ragged_lines_without_header(tmp_path: Path) -> None:
    path = written(tmp_path, "1,2\n3,4,5\n")
    assert refusal(path, NO_HEADER).startswith("line 2 has 3 cells, line 1 2")


def test_a_trailing_delimiter_without_header(tmp_path: Path) -> None:
    found = read(written(tmp_path, "1,2,\n3,4,\n"), NO_HEADER)
    assert found.rows == [["1", "2"], ["3", "4"]]
