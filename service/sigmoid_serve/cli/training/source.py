"""The data of a training: what the user says of it, and how it is read."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import typer

from sigmoid_models.messages import UserError
from sigmoid_models.training.bundled import BUNDLED
from sigmoid_serve.cli.table_options import read_options

if TYPE_CHECKING:
    from sigmoid_models.tables.reading import ReadOptions
    from sigmoid_models.training.datasets import Dataset
    from sigmoid_models.training.split import Given


class Source(NamedTuple):
    """What the user says of the data."""

    data: str
    target: str | None
    drop: tuple[str, ...]
    positive: str | None
    validation: Path | None
    test: Path | None
    decimal: Literal[".", ","] | None
    header: bool | None

    @property
    def files_only(self) -> dict[str, object]:
        """The options that are for files, as typed, and their values."""
        return {
            "--target": self.target,
            "--drop": self.drop or None,
            "--positive": self.positive,
            "--validation": self.validation,
            "--test": self.test,
            "--decimal": self.decimal,
            "--header/--no-header": self.header,
        }


def check_source(source: Source) -> None:
    """Check that the options of the data fit each other, before anything is read."""
    data = source.data
    if data in BUNDLED:
        for option, value in source.files_only.items():
            if value is not None:
                raise typer.BadParameter(
                    f"is for files, and {data} is a bundled set", param_hint=option
                )
        return
    if not Path(data).exists() and data != "-":
        raise UserError(f"{data} is neither a file nor one of {', '.join(BUNDLED)}")
    if source.target is None:
        raise typer.BadParameter(
            "must name the column of the classes, as --target COLUMN",
            param_hint="--target",
        )
    if source.target in source.drop:
        raise typer.BadParameter(
            f"{source.target!r} is the column of the classes", param_hint="--drop"
        )
    files = (("--validation", source.validation), ("--test", source.test))
    for option, path in files:
        if str(path) == "-":
            raise typer.BadParameter(
                "is a file; only the rows to train on may be standard input",
                param_hint=option,
            )
        if path and path.exists() and data != "-" and path.samefile(data):
            raise typer.BadParameter(
                f"{path} is the file to train on; rows that were trained on say "
                "nothing of others",
                param_hint=option,
            )


def read_source(source: Source) -> tuple["Dataset", "Given"]:
    """Read the rows to train on, and those that are not to be split off."""
    from sigmoid_models.training.datasets import load_bundled, load_csv
    from sigmoid_models.training.split import Given

    if source.data in BUNDLED:
        return load_bundled(source.data), Given()
    assert source.target is not None
    options = read_options(source.decimal, source.header)
    dataset = load_csv(
        Path(source.data),
        source.target,
        drop=source.drop,
        positive=source.positive,
        options=options,
    )
    more = (
        _labelled(path, source.target, dataset, options)
        for path in (source.validation, source.test)
    )
    return dataset, Given(*more)


def _labelled(
    path: Path | None, target: str, like: "Dataset", options: "ReadOptions"
) -> "Dataset | None":
    from sigmoid_models.training.datasets import load_labelled

    if path is None:
        return None
    return load_labelled(
        path,
        target,
        like.features,
        like.classes,
        count=len(like.features),
        options=options,
    )
