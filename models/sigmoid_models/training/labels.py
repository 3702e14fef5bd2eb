"""The classes that the rows of a table name: their order, and what is odd in them."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sigmoid_models.tables.reading import Batch
from sigmoid_models.tables.table import listed, shown_cell

# More classes than rows can show, or than people tell apart: a number, or an id.
_FEW_CLASSES: Final = 10
_ROWS_PER_CLASS: Final = 5
_MANY_FRACTIONS: Final = 20

# What programs write where there is no value, and people as the name of a class.
_UNSURE: Final = {"na", "n/a", "nan", "null", "<na>", "#n/a", "?"}


class Labels:
    """The label of each row, gathered batch by batch.

    Attributes:
        absent: How many rows have none.
        first_absent: Where the first of them is.
    """

    def __init__(self, known: Sequence[str] = ()) -> None:
        self._codes = {name: code for code, name in enumerate(known)}
        self._parts: list[NDArray[np.int64]] = []
        self._first: dict[str, str] = {}
        self.absent = 0
        self.first_absent = ""

    def add(self, batch: Batch, name: str) -> None:
        """Read the labels of some rows from the column `name`."""
        texts = batch.texts(name)
        codes, before = self._codes, len(self._codes)
        part = [codes.setdefault(text, len(codes)) for text in texts]
        self._parts.append(np.array(part, dtype=np.int64))
        for label in list(codes)[before:]:
            # Where too many are unknown, a message shows only some.
            if len(self._first) < _FEW_CLASSES:
                self._first[label] = batch.place(texts.index(label))
        empty = [row for row, text in enumerate(texts) if not text.strip()]
        if empty and not self.absent:
            self.first_absent = batch.place(empty[0])
        self.absent += len(empty)

    @property
    def names(self) -> tuple[str, ...]:
        """All labels, those known before first, in the order in which they came."""
        return tuple(self._codes)

    def first_place(self, label: str) -> str | None:
        """Say where a label that was not known before came first, if it is known."""
        return self._first.get(label)

    def codes(self) -> NDArray[np.int64]:
        """Return for each row the place of its label in `names`."""
        return np.concatenate(self._parts)

    def targets(self, classes: Sequence[str]) -> NDArray[np.int64]:
        """Return for each row the place of its label in `classes`, which has all."""
        places = {name: place for place, name in enumerate(classes)}
        order = np.array([places[name] for name in self._codes], dtype=np.int64)
        return order[self.codes()]


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """Sort the names of classes: as numbers, if all are."""
    values = [_number(name) for name in names]
    if None in values:
        return tuple(sorted(names))
    return tuple(sorted(names, key=lambda name: (float(name), name)))


def why_no_classes(names: Sequence[str], rows: int) -> str | None:
    """Say why labels name no classes that a network could tell apart, if so."""
    count = len(names)
    values = [_number(name) for name in names]
    numbers = [value for value in values if value is not None]
    are_fractions = len(numbers) == count and not all(
        value.is_integer() for value in numbers
    )
    seen = f"it has {count:,} different values in {rows:,} rows"
    if count < 2:
        only = f", {shown_cell(names[0])}" if names else ""
        return f"it must name two classes or more, and has one value{only}"
    is_spread = count > max(_FEW_CLASSES, rows / _ROWS_PER_CLASS)
    if are_fractions and (is_spread or count > _MANY_FRACTIONS):
        low, high = min(numbers), max(numbers)
        return (
            f"{seen}, from {low:g} to {high:g}: this trains classifiers; put the "
            "numbers into classes, such as low and high"
        )
    if is_spread:
        return (
            f"{seen}, such as {listed(names[:3])}: this trains classifiers; name a "
            "column that says the class, not which row it is"
        )
    return None


def odd_labels(names: Sequence[str], counts: Sequence[int]) -> list[str]:
    """Point out labels that may be meant to be the same, or none."""
    alike: defaultdict[str | float, list[str]] = defaultdict(list)
    shown = {
        name: f"{shown_cell(name)} ({_rows(count)})"
        for name, count in zip(names, counts, strict=True)
    }
    for name in names:
        value = _number(name)
        folded = " ".join(name.casefold().split())
        alike[folded if value is None else value].append(name)
    notes = []
    for group in alike.values():
        if len(group) > 1:
            which = ", ".join(shown[name] for name in group[:8])
            how = "only in case, spaces or how a number is written"
            notes.append(
                f"the labels {which} differ {how}, and are classes of their own"
            )
    unsure = [shown[name] for name in names if name.strip().lower() in _UNSURE]
    if unsure:
        which = ", ".join(unsure)
        notes.append(
            f"the label {which} is a class; where it means none, take those rows out"
        )
    return notes


def unknown_labels(labels: Labels, classes: Sequence[str]) -> str | None:
    """Say which labels are none of a model's classes, how often and where, if any."""
    names = labels.names[len(classes) :]
    if not names:
        return None
    counts = Counter(labels.codes().tolist())
    parts = []
    for code, name in enumerate(names[:8], start=len(classes)):
        place = labels.first_place(name)
        part = f"{shown_cell(name)} ({_rows(counts[code])}, the first at {place})"
        meant = _meant(name, classes)
        parts.append(f"{part}, perhaps {shown_cell(meant)}" if meant else part)
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    what = "label is no class" if len(names) == 1 else "labels are no classes"
    return (
        f"{len(names):,} {what} of the model: {', '.join(parts)}{more}; "
        f"its classes are {listed(classes)}"
    )


def too_few(classes: Sequence[str], counts: Sequence[int], least: int) -> str | None:
    """Say which classes have fewer rows than `least`, and how many, if any."""
    few = [
        f"{shown_cell(name)} has {_rows(count)}"
        for name, count in zip(classes, counts, strict=True)
        if count < least
    ]
    if not few:
        return None
    more = f" and {len(few) - 8:,} more" if len(few) > 8 else ""
    what = "class has" if len(few) == 1 else "classes have"
    remedy = "add rows of it, take its rows out, or merge it with another"
    return (
        f"{len(few):,} {what} fewer than {least} rows: {', '.join(few[:8])}{more}; "
        f"{remedy}"
    )


def _meant(name: str, classes: Sequence[str]) -> str | None:
    folded = {known.strip().casefold(): known for known in classes}
    found = get_close_matches(name.strip().casefold(), folded, n=1)
    return folded[found[0]] if found else None


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _number(name: str) -> float | None:
    try:
        value = math.nan if "_" in name else float(name)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
