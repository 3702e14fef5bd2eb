"""docs/checkpoints.md is true: all functions, options and fields."""

import re
from inspect import signature

from sigmoid_models.activation import NAMES
from sigmoid_models.card import ModelCard
from sigmoid_serve.cli.conversion import convert
from tests.documentation.pages import PAGES

TEXT = PAGES["docs/checkpoints.md"]


def first_cells(heading: str) -> list[str]:
    """List the first word of each row of the table below a heading."""
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(?:--)?(\w+)[^|]*\|", section, re.MULTILINE)


def test_every_function_is_listed() -> None:
    assert tuple(first_cells("Which networks")) == NAMES


def test_every_option_is_listed() -> None:
    options = signature(convert).parameters.keys() - {"source"}
    assert set(first_cells("What must be named")) == options


def test_every_field_is_listed() -> None:
    assert set(first_cells("The card, format 2")) == ModelCard.model_fields.keys()
