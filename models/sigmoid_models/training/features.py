"""The columns of a table as features: what is no number is counted, told at once."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sigmoid_models.dtype import Float64Array
from sigmoid_models.tables.reading import Batch
from sigmoid_models.tables.table import listed, shown_cell

# So much of what is wrong, and of the command that settles it, is shown.
_SHOWN: Final = 8
_COMMAND_CHARACTERS: Final = 800

# Columns that only need this are not left out.
_DECIMAL: Final = ("--decimal", ",")


@dataclass
class _Fault:
    """What is wrong with a column: how often, and what was there first."""

    position: int
    missing: int = 0
    wrong: int = 0
    first: str = ""
    is_decimal: bool = False
    is_counting: bool = False

    def told(self, name: str, rows: int) -> str:
        """Say it in a few words."""
        if not name:
            counting = " and only numbers the rows" if self.is_counting else ""
            return f"column {self.position + 1} has no name{counting}"
        parts = []
        if self.missing:
            parts.append(f"no value in {self.missing:,}")
        if self.wrong:
            parts.append(f"no number in {self.wrong:,}")
        found = " and ".join(parts)
        return f"{shown_cell(name)} has {found} of {rows:,} rows (first: {self.first})"


class Features:
    """The rows of some columns, gathered batch by batch.

    Attributes:
        empty: How many rows have no value in any of the columns.
        first_empty: Where the first of them is.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._faults: dict[str, _Fault] = {}
        self._parts: list[Float64Array] = []
        self._rows = self.empty = 0
        self.first_empty = ""

    def add(self, batch: Batch) -> None:
        """Read some rows."""
        part = np.empty((batch.rows, len(self._names)), dtype=np.float64)
        is_empty = np.ones(batch.rows, dtype=np.bool_)
        for position, name in enumerate(self._names):
            column = batch.column(name)
            part[:, position] = column.values
            is_empty &= column.missing
            missing, wrong = int(column.missing.sum()), int(column.wrong.sum())
            # A column without a name cannot be asked for.
            if missing or wrong or not name:
                fault = self._faults.setdefault(name, _Fault(position))
                if (missing or wrong) and not fault.first:
                    row = int(np.argmax(column.wrong if wrong else column.missing))
                    _tell_first(fault, batch, row, name)
                elif not self._rows:
                    fault.is_counting = numbers_the_rows(column.values)
                fault.missing += missing
                fault.wrong += wrong
        if is_empty.any():
            self.first_empty = self.first_empty or batch.place(int(np.argmax(is_empty)))
            self.empty += int(is_empty.sum())
        self._rows += batch.rows
        self._parts.append(part if not self._faults else part[:0])

    def rows(self) -> Float64Array:
        """Return all rows, `(rows, columns)`."""
        return np.concatenate(self._parts)

    def refusal(self, command: Sequence[str]) -> str | None:
        """Say what is no number, by column, and the command without; None if all is.

        Args:
            command: The words of the command that the user gave.
        """
        if not self._faults:
            return None
        shown = [
            fault.told(name, self._rows)
            for name, fault in list(self._faults.items())[:_SHOWN]
        ]
        more = len(self._faults) - len(shown)
        found = ", ".join(shown) + (f", and {more:,} more columns" if more else "")
        return f"features have names and are numbers: {found}; {self._remedy(command)}"

    def _remedy(self, command: Sequence[str]) -> str:
        words = list(command)
        left = [name for name, fault in self._faults.items() if not fault.is_decimal]
        if len(left) == len(self._names):
            return "fill them in or make numbers of them: no other column is left"
        if len(left) < len(self._faults):
            words += _DECIMAL
        while left and len(shlex.join(words)) < _COMMAND_CHARACTERS:
            words += ["--drop", left.pop(0)]
        more = f" … and {len(left):,} more --drop" if left else ""
        return f"try: {shlex.join(words)}{more}"


def _tell_first(fault: _Fault, batch: Batch, row: int, name: str) -> None:
    cell, reason = batch.cell(row, name)
    fault.is_decimal = (reason or "").startswith(f"give {shlex.join(_DECIMAL)} ")
    fault.first = batch.place(row)
    if cell:
        fault.first += f", {shown_cell(cell)}" + (f": {reason}" if reason else "")


def odd_features(rows: Float64Array, names: Sequence[str]) -> list[str]:
    """Point out columns from which nothing can be learned."""
    notes = []
    low, high = rows.min(axis=0), rows.max(axis=0)
    constant = [name for name, a, b in zip(names, low, high, strict=True) if a == b]
    counting = [
        name
        for position, name in enumerate(names)
        if numbers_the_rows(rows[:, position])
    ]
    if len(rows) > 1 and constant:
        verb = "is" if len(constant) == 1 else "are"
        what = f"{verb} the same in all rows"
        notes.append(f"{listed(constant)} {what}: {_dropped(constant)}")
    if counting:
        what = f"only {'numbers' if len(counting) == 1 else 'number'} the rows"
        notes.append(f"{listed(counting)} {what}: {_dropped(counting)}")
    return notes


def numbers_the_rows(values: Float64Array) -> bool:
    """Say whether values are 0, 1, 2, … or 1, 2, 3, …, in any order."""
    count = len(values)
    low, high = values.min(), values.max()
    if count < 3 or low not in (0, 1) or high - low != count - 1:
        return False
    return bool((np.sort(values) == np.arange(count) + low).all())


def _dropped(names: Sequence[str]) -> str:
    options = " ".join(f"--drop {shlex.quote(name)}" for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    which = "it" if len(names) == 1 else "them"
    return f"leave {which} out with {options}{more}"
