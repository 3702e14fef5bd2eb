"""The options of commands that read tables: what a file does not say itself."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from sigmoid_models.tables.reading import ReadOptions

Decimal = Annotated[
    Literal[".", ","] | None,
    typer.Option(help="Decimal mark of numbers in text.", show_default="found out"),
]
Header = Annotated[
    bool | None,
    typer.Option(
        "--header/--no-header",
        help="Whether the first line names the columns; without, they are column_1, "
        "column_2, and so on.",
        show_default="found out",
    ),
]


def read_options(
    decimal: Literal[".", ","] | None, header: bool | None
) -> "ReadOptions":
    """Put together what the user says of a file."""
    from sigmoid_models.tables.reading import ReadOptions

    return ReadOptions(decimal=decimal, has_header=header)
