"""Rows with a class each, for a model that there is already."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sigmoid_models.card import ModelCard
from sigmoid_models.tables.reading import ReadOptions, open_table
from sigmoid_models.training.datasets import Dataset, DatasetError, load_labelled
from sigmoid_models.training.labels import in_order

_SHOWN = 8


class Labelled(NamedTuple):
    """Rows to measure a model on.

    Attributes:
        dataset: The rows, with the features and the classes of the model.
        target: The column that named the classes.
        classes: Of the model, in the order of its outputs.
        notes: What was found out; a sentence each.
    """

    dataset: Dataset
    target: str
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def read_labelled(
    path: Path, card: ModelCard, target: str | None, options: ReadOptions
) -> Labelled:
    """Read rows for a binary or a multiclass model.

    Args:
        path: A CSV or Parquet file.
        card: Of the model.
        target: The column of the classes; None for the one that is no feature.
        options: What the user says of the file.

    Raises:
        DatasetError: There is no one such column, its labels are not the model's, or
            a row cannot be used.
        TableError: The file cannot be read, or lacks a feature.
    """
    notes: list[str] = []
    with open_table(path, options) as table:
        if target is None:
            target = _only_target(table.label, table.names, card.features)
            notes.append(f"the classes are those of the column {target!r}")
        else:
            table.require([target])
    classes = card.classes
    if classes is None:
        count = 2 if card.task == "binary" else card.architecture.outputs
        classes = _classes_found(path, target, count, options)
        listed = ", ".join(map(repr, classes[:_SHOWN]))
        more = ", …" if len(classes) > _SHOWN else ""
        notes.append(
            f"the checkpoint names no classes; taken are, in this order, {listed}{more}"
        )
    dataset = load_labelled(
        path,
        target,
        card.features,
        classes,
        count=card.architecture.features,
        options=options,
    )
    return Labelled(dataset, target, classes, (*notes, *dataset.notes))


def _only_target(
    label: str, names: Sequence[str], features: Sequence[str] | None
) -> str:
    others = [name for name in names if name not in set(features or ())]
    if len(others) == 1:
        return others[0]
    if not others:
        raise DatasetError(
            f"{label}: each column is a feature of the model, and none names a class; "
            "to get predictions, use sigmoid-serve predict"
        )
    listed = ", ".join(map(repr, others[:_SHOWN]))
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    raise DatasetError(
        f"{label}: which column names the class? say it by --target COLUMN; no feature "
        f"of the model {'are' if features else 'is named, there are'} {listed}{more}"
    )


def _classes_found(
    path: Path, target: str, count: int, options: ReadOptions
) -> tuple[str, ...]:
    """Take the labels of a file for the classes of a model that names none."""
    found: set[str] = set()
    with open_table(path, options) as table:
        for batch in table.batches():
            found.update(batch.texts(target))
            if len(found) > 10 * count:
                break
    numbers = tuple(map(str, range(count)))
    if found <= set(numbers):
        return numbers
    if len(found) == count:
        return in_order(sorted(found))
    raise DatasetError(
        f"{path}: the model has {count} classes without names, and {target!r} holds "
        f"{len(found)}{' or more' if len(found) > 10 * count else ''} different "
        "labels; name the classes by sigmoid-serve convert --classes"
    )
