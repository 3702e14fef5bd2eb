"""A table as text in cells, and how a cell shows a figure."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from benchmark.figures import Figures, Key, middle, ratio


class Table(NamedTuple):
    """A table.

    Attributes:
        title: What it shows.
        head: The names of the columns; all but the first one or two hold numbers.
        rows: The cells.
    """

    title: str
    head: Sequence[str]
    rows: list[list[str]]


def value_cell(figures: Figures, key: Key, form: Callable[[float], str]) -> str:
    """Show the median over the rounds; nothing where nothing was measured."""
    value = middle(figures, key)
    return "" if value is None else form(value)


def range_cell(figures: Figures, key: Key, form: Callable[[float], str]) -> str:
    """Show the least and the largest of the rounds."""
    values = figures.get(key)
    return f"{form(min(values))} to {form(max(values))}" if values else ""


def ratio_cell(figures: Figures, above: Key, below: Key) -> str:
    """Show the median of the rounds' quotients."""
    quotient = ratio(figures, above, below)
    return "" if quotient is None else f"{quotient:.3g}"


def milliseconds(seconds: float) -> str:
    """Show seconds as milliseconds."""
    return f"{1000 * seconds:,.2f}" if seconds < 1 else f"{1000 * seconds:,.0f}"


def mebibytes(count: float) -> str:
    """Show bytes as MiB."""
    return f"{count / 2**20:,.1f}"
