"""Cells as numbers: the nearest float64, and the reason where there is none."""

import math
import random
import struct
from pathlib import Path

import pytest

from sigmoid_models.tables.reading import Decimal, ReadOptions, TableError, open_table
from tests.models.tables.reader import FOUND_OUT, written


def numbers(path: Path, options: ReadOptions = FOUND_OUT) -> list[float]:
    with open_table(path, options) as table:
        return [
            value
            for batch in table.batches()
            for value in batch.numbers(table.names[:1])[:, 0].tolist()
        ]


def hard_numbers() -> list[str]:
    """Return digits at or beside the middle between two floats, and their kin."""
    rng = random.Random(0)
    texts = ["0", "-0", "1e22", "1e23", "8.5e22", "9007199254740993", "0.1", "5e-324"]
    texts += ["2.4703282292062327e-324", "2.4703282292062328e-324", "1e-400"]
    texts += ["2.2250738585072011e-308", "1.7976931348623158e308", "6.5e-05"]
    texts += [f"0.{'0' * 400}1e401", "1" * 300, f"1.{'0' * 700}1", "1e-320"]
    for _ in range(400):
        bits = rng.getrandbits(63)
        value = struct.unpack("d", struct.pack("Q", bits))[0]
        if not math.isfinite(value):
            continue
        texts += [repr(value), f"{value:.25e}", f"{-value:.17g}"]
        following = math.nextafter(value, math.inf)
        if value and 1e-290 < value < 1e290:
            # Exactly between the two, in all its digits.
            high, low = value.as_integer_ratio(), following.as_integer_ratio()
            top = high[0] * low[1] + low[0] * high[1]
            bottom = 2 * high[1] * low[1]
            digits = 30
            scaled = top * 10**digits // bottom
            texts += [f"{scaled}e-{digits}", f"{scaled + 1}e-{digits}"]
    return texts


@pytest.mark.parametrize("spaced", [False, True])
def test_numbers_are_those_of_python(tmp_path: Path, spaced: bool) -> None:
    texts = hard_numbers()
    # With spaces, or a sign, another way is taken.
    cells = [f" +{text} " if text[0] != "-" else f"{text} " for text in texts]
    lines = cells if spaced else texts
    path = written(tmp_path, "\n".join(["a", *lines, ""]))
    found = numbers(path)
    expected = [float(text) for text in texts]
    assert [x.hex() for x in found] == [x.hex() for x in expected]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1.5 ", 1.5),
        (" 1.5", 1.5),
        ('"1.5"', 1.5),
        (' "1.5"', 1.5),
        ("+1", 1),
        ("1e5", 1e5),
        ("1E+05", 1e5),
        (".5", 0.5),
        ("5.", 5),
        ("\u00a07", 7),
    ],
)
def test_one_number(tmp_path: Path, cell: str, value: float) -> None:
    assert numbers(written(tmp_path, f"a,b\n{cell},1\n")) == [value]


@pytest.mark.parametrize(
    ("cell", "finding"),
    [
        ("", "got '' (a missing value)"),
        ("NA", "got 'NA' (a missing value)"),
        (" NaN ", "got ' NaN ' (a missing value)"),
        ("?", "(a missing value)"),
        ("-", "(a missing value)"),
        ("null", "(a missing value)"),
        ("two", "got 'two'"),
        ("1_000", "digits are grouped by thousands; write the number without"),
        ('"1,234.5"', "digits are grouped by thousands"),
        ('"1,234"', "write the number without, or give --decimal , if"),
        ("1 234", "digits are grouped by thousands"),
        ("1'234.5", "digits are grouped by thousands"),
        ("1.234.567", "digits are grouped by thousands"),
        ('"2,5"', "give --decimal , if that is the decimal mark of all numbers"),
        ("inf", "got 'inf' (beyond the largest float64)"),
        ("-Infinity", "(beyond the largest float64)"),
        ("1e999", "got '1e999' (beyond the largest float64)"),
        ("0x10", "got '0x10'"),
        ("1d5", "got '1d5'"),
        ("12%", "got '12%'"),
        ("True", "got 'True'"),
        ("nan(1)", "got 'nan(1)'"),
        ("١", "got '١'"),
        ("1" * 200_000, "beyond the largest float64"),
        ('"1\n2"', r"got '1\n2'"),
    ],
)
def test_no_numbers(tmp_path: Path, cell: str, finding: str) -> None:
    path = written(tmp_path, f"a,b\n1,1\n\n{cell},1\n")
    with pytest.raises(TableError) as caught:
        numbers(path)
    message = str(caught.value)
    start = f"{path}: line 4, column 'a': expected a finite number, got "
    assert message.startswith(start)
    assert finding in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("a;b\n1,5;2\n", None, 1.5),
        ("a\tb\n-0,5e3\t2\n", None, -500),
        ("a;b\n1,234;x\n0,5;x\n", None, 1.234),
        ("a;b\n1.5;2\n", None, 1.5),
        ('a,b\n"1,5",2\n', ",", 1.5),
        ("a\n1,5\n", ",", 1.5),
        ("a|b\n1,5|2\n", ",", 1.5),
        ("a;b\n1,234;2\n", ",", 1.234),
        ("a;b\n1.5;2\n", ".", 1.5),
        ("a;b\n ,5 ;2\n", ",", 0.5),
    ],
)
def test_decimal_marks(
    tmp_path: Path, text: str, decimal: Decimal | None, value: float
) -> None:
    options = ReadOptions(decimal=decimal)
    assert numbers(written(tmp_path, text), options)[0] == value


@pytest.mark.parametrize(
    ("text", "decimal", "finding"),
    [
        # Thousands, or decimals: nobody can know.
        ("a;b\n1,234;2\n", None, "digits are grouped by thousands"),
        ("a|b\n1,5|2\n", None, "give --decimal , if"),
        ("a;b\n1,5;2.5\n", None, "give --decimal , if"),
        ("a;b\n1.5;2\n", ",", "give --decimal . if"),
        ("a;b\n1.234,5;2\n", ",", "digits are grouped by thousands"),
        ("a;b\n1,5;2\n", ".", "give --decimal , if"),
    ],
)
def test_other_decimal_marks(
    tmp_path: Path, text: str, decimal: Decimal | None, finding: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(TableError) as caught:
        numbers(path, ReadOptions(decimal=decimal))
    assert finding in str(caught.value)


def test_a_decimal_comma_is_told(tmp_path: Path) -> None:
    with open_table(written(tmp_path, "a;b\n1,5;2\n")) as table:
        assert table.notes == ("`;` between cells, decimal comma",)


def test_the_first_row_with_a_fault_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,2\n1,x\ny,2\n")
    with open_table(path) as table:
        [batch] = table.batches()
        with pytest.raises(TableError, match="line 3, column 'b'"):
            batch.numbers(("a", "b"))
        column = batch.column("a")
        assert column.wrong.tolist() == [False, False, True]
        assert not column.missing.any()
        assert batch.cell(2, "a") == ("y", None)
