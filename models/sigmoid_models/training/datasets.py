"""Real data to train on: scikit-learn's bundled sets, and tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sigmoid_models.dtype import Float64Array
from sigmoid_models.messages import UserError, one_line
from sigmoid_models.tables.reading import ReadOptions, open_table
from sigmoid_models.tables.table import listed, shown_cell
from sigmoid_models.training.bundled import BUNDLED
from sigmoid_models.training.features import Features, odd_features
from sigmoid_models.training.labels import (
    Labels,
    in_order,
    odd_labels,
    too_few,
    unknown_labels,
    why_no_classes,
)

_FOUND_OUT: Final = ReadOptions()


class DatasetError(UserError):
    """Data that cannot be used: where, what was found, what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


@dataclass(frozen=True)
class Dataset:
    """Rows with a class each.

    Attributes:
        name: The name of the set, or the file's.
        rows: Raw features, `(rows, features)`, finite.
        features: The names of the features.
        targets: Index of each row's class, `(rows,)`.
        classes: The names of the classes.
        notes: Sentences for the user: how the file was read, and what is odd in it.
    """

    name: str
    rows: Float64Array
    features: tuple[str, ...]
    targets: NDArray[np.int64]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def load_csv(
    path: Path,
    target: str,
    *,
    drop: Sequence[str] = (),
    positive: str | None = None,
    options: ReadOptions = _FOUND_OUT,
) -> Dataset:
    """Read a table whose column `target` names each row's class.

    Args:
        path: A CSV or Parquet file, see `sigmoid_models.tables.reading`.
        target: The column of the classes.
        drop: Columns to leave out; all others are features.
        positive: Of two classes, the one to be put second: that whose probability a
            network with one output gives. None for the last, sorted.
        options: What the user says of the file.

    Raises:
        UserError: The file cannot be read or used.
    """
    with open_table(path, options) as table:
        table.require([target, *drop])
        names = [name for name in table.names if name not in {target, *drop}]
        if target in drop:
            raise DatasetError(f"{path}: {target!r} is the target, and dropped")
        if not names:
            beside = f"beside {target!r}" + (" and what is dropped" if drop else "")
            raise DatasetError(f"{path}: there is no column {beside}")
        features, labels = Features(names), Labels()
        for batch in table.batches():
            features.add(batch)
            labels.add(batch, target)
        how_read = table.notes
    command = _command(path, target, drop, positive, options)
    _check(path, target, features, labels, features.refusal(command))
    classes = _with_positive(path, in_order(labels.names), positive)
    targets = labels.targets(classes)
    counts = np.bincount(targets, minlength=len(classes)).tolist()
    rows = features.rows()
    notes = (*how_read, *odd_labels(classes, counts), *odd_features(rows, names))
    return Dataset(path.name, rows, tuple(names), targets, classes, _clean(notes))


def load_labelled(
    path: Path,
    target: str,
    features: Sequence[str] | None,
    classes: Sequence[str],
    *,
    count: int,
    options: ReadOptions = _FOUND_OUT,
) -> Dataset:
    """Read rows with their classes for a model that exists.

    Args:
        path: A CSV or Parquet file, see `sigmoid_models.tables.reading`.
        target: The column of the classes.
        features: The columns that the model takes; None for all others, in order.
        classes: The model's classes, in its order. Not all need rows.
        count: How many features the model takes.
        options: What the user says of the file.

    Raises:
        UserError: The file cannot be read or used, or has a class that the model has
            not.
    """
    with open_table(path, options) as table:
        others = [name for name in table.names if name != target]
        names = others if features is None else features
        table.require([target, *names])
        if len(names) != count:
            raise DatasetError(
                f"{path}: the model takes {count} features, beside {target!r} are "
                f"{len(names)} columns: {listed(names)}"
            )
        parts, labels = [], Labels(classes)
        for batch in table.batches():
            parts.append(batch.numbers(names))
            labels.add(batch, target)
        notes = table.notes
    _check_labelled(path, target, labels)
    unknown = unknown_labels(labels, classes)
    if unknown:
        raise DatasetError(f"{path}: column {target!r}: {unknown}")
    rows, targets = np.concatenate(parts), labels.codes()
    return Dataset(path.name, rows, tuple(names), targets, tuple(classes), notes)


def check_rows_per_class(dataset: Dataset, least: int) -> None:
    """Check that there are some rows of each class.

    Raises:
        DatasetError: It names the classes with fewer, and how many they have.
    """
    counts = np.bincount(dataset.targets, minlength=len(dataset.classes)).tolist()
    few = too_few(dataset.classes, counts, least)
    if few:
        raise DatasetError(f"{dataset.name}: {few}")


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


def _command(
    path: Path,
    target: str,
    drop: Sequence[str],
    positive: str | None,
    options: ReadOptions,
) -> list[str]:
    """Return the words of the command that the user gave, as far as it is known."""
    words = ["sigmoid-serve", "train", str(path), "--target", target]
    for name in drop:
        words += ["--drop", name]
    if positive is not None:
        words += ["--positive", positive]
    if options.decimal is not None:
        words += ["--decimal", options.decimal]
    if options.has_header is not None:
        words.append("--header" if options.has_header else "--no-header")
    return words


def _check(
    path: Path, target: str, features: Features, labels: Labels, refusal: str | None
) -> None:
    """Refuse rows that cannot be learned from."""
    if features.empty and labels.absent:
        count, first = features.empty, features.first_empty
        finding = f"{_rows(count)} without any number, the first at {first}"
        raise DatasetError(f"{path}: there {finding}; take the rows out")
    _check_labelled(path, target, labels)
    wrong = why_no_classes(labels.names, len(labels.codes()))
    if wrong:
        raise DatasetError(f"{path}: column {target!r}: {wrong}")
    if refusal:
        raise DatasetError(f"{path}: {refusal}")


def _check_labelled(path: Path, target: str, labels: Labels) -> None:
    if labels.absent:
        finding = f"{_rows(labels.absent)} without a class in column {target!r}"
        where = f"the first at {labels.first_absent}"
        raise DatasetError(
            f"{path}: there {finding}, {where}; fill it in, or take the rows out"
        )


def _with_positive(
    path: Path, classes: tuple[str, ...], positive: str | None
) -> tuple[str, ...]:
    if positive is None:
        return classes
    if len(classes) != 2:
        finding = f"is for two classes, and here are {len(classes)}"
        raise DatasetError(f"{path}: --positive {finding}: {listed(classes)}")
    if positive not in classes:
        finding = f"--positive {shown_cell(positive)} is none of the classes"
        raise DatasetError(f"{path}: {finding} {listed(classes)}")
    return (*(name for name in classes if name != positive), positive)


def _rows(count: int) -> str:
    return "is 1 row" if count == 1 else f"are {count:,} rows"


def _clean(notes: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(one_line, notes))
