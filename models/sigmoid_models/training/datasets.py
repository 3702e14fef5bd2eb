"""Real data to train on: scikit-learn's bundled sets, and CSV files."""

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sigmoid_models.dtype import Float64Array
from sigmoid_models.messages import UserError, one_line
from sigmoid_models.training.bundled import BUNDLED


class DatasetError(UserError):
    """Data that cannot be used: where, what was found, what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


@dataclass(frozen=True)
class Dataset:
    """Rows with a class each.

    Attributes:
        name: The name of the set, or the CSV's file name.
        rows: Raw features, `(rows, features)`, finite.
        features: The names of the features.
        targets: Index of each row's class, `(rows,)`.
        classes: The names of the classes.
    """

    name: str
    rows: Float64Array
    features: tuple[str, ...]
    targets: NDArray[np.int64]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A CSV file: its header and its cells, as text."""

    path: Path
    header: tuple[str, ...]
    lines: list[list[str]]

    def column(self, name: str) -> list[str]:
        """Return the cells under `name`.

        Raises:
            DatasetError: The header has no such name.
        """
        if name not in self.header:
            raise DatasetError(
                f"{self.path}: there is no column {name!r}; "
                f"the header has {', '.join(self.header)}"
            )
        position = self.header.index(name)
        return [line[position] for line in self.lines]

    def numbers(self, names: tuple[str, ...]) -> Float64Array:
        """Return the columns `names` as numbers, `(rows, len(names))`.

        Raises:
            DatasetError: A column is not there, or a cell is no finite number.
        """
        columns = [
            [self._number(cell, line, name) for line, cell in enumerate(cells, start=2)]
            for name, cells in ((name, self.column(name)) for name in names)
        ]
        return np.array(columns, dtype=np.float64).T.reshape(-1, len(names))

    def _number(self, cell: str, line: int, name: str) -> float:
        try:
            # Python reads 1_000 as a number; what else reads the file may not.
            number = math.nan if "_" in cell else float(cell)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise DatasetError(
                f"{self.path}: record {line}, column {name!r}: "
                f"expected a finite number, got {cell[:32]!r}"
            )
        return number


def read_table(path: Path) -> Table:
    """Read a CSV file with a header, comma-separated, in UTF-8.

    Raises:
        DatasetError: It cannot be read, has no row, names a column twice, or has a
            row that is longer or shorter than the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *lines = [line for line in csv.reader(file, strict=True) if line]
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except (ValueError, csv.Error) as error:
        raise DatasetError(f"{path}: not a CSV file with a header: {error}") from None
    if not lines:
        raise DatasetError(f"{path}: there is no row under the header")
    if len(set(header)) != len(header):
        raise DatasetError(f"{path}: the header names a column twice")
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise DatasetError(
                f"{path}: record {number} has {len(line)} cells, "
                f"the header {len(header)}"
            )
    return Table(path, tuple(header), lines)


def load_csv(path: Path, target: str) -> Dataset:
    """Read a CSV whose column `target` names each row's class; the rest are features.

    Raises:
        DatasetError: It cannot be read or used.
    """
    table = read_table(path)
    names = table.column(target)
    features = tuple(name for name in table.header if name != target)
    if not features:
        raise DatasetError(f"{path}: there is no column beside {target!r}")
    classes = tuple(sorted(set(names)))
    if "" in classes or len(classes) < 2:
        raise DatasetError(f"{path}: {target!r} must name two classes or more")
    targets = np.array([classes.index(name) for name in names], dtype=np.int64)
    return Dataset(path.name, table.numbers(features), features, targets, classes)


def load_bundled(name: str) -> Dataset:
    """Load one of `BUNDLED`; needs scikit-learn, which holds the data.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.
    """
    import sklearn.datasets

    load: Callable[[], Any] = getattr(sklearn.datasets, BUNDLED[name])
    bunch = load()
    return Dataset(
        name,
        np.asarray(bunch.data, dtype=np.float64),
        tuple(str(feature) for feature in bunch.feature_names),
        np.asarray(bunch.target, dtype=np.int64),
        tuple(str(label) for label in bunch.target_names),
    )
