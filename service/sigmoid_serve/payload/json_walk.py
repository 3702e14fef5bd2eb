"""Tensors from the text of JSON, one number after the other: the first error, or all.

This is the way of what a faster one has left: it says what is wrong. It makes no
Python object of a list, so that its memory is that of the numbers, whatever the text;
and it follows it a stretch at a time, so that others run meanwhile. The text was found
to be JSON before (`sigmoid_serve.json.syntax`).

The first error is that of the first element, in document order, that is not what it
should be. A list of the wrong length comes before its elements, and the first list of
each level says which length is right.
"""

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np

from sigmoid_models.dtype import DtypeName, FloatArray, round_to
from sigmoid_serve.errors import ElementError
from sigmoid_serve.json.text import (
    SPACE,
    Check,
    JsonText,
    count_rest,
    extend_pointer,
    json_type_name,
    scalar,
    value_at,
)
from sigmoid_serve.payload.array_shape import MAX_RANK
from sigmoid_serve.payload.array_text import Tensors
from sigmoid_serve.payload.json_errors import (
    BEYOND,
    number_error,
    ragged_error,
    too_many_error,
)
from sigmoid_serve.payload.json_rows import read_numbers, read_rows

# Python objects for this much are made within a few milliseconds.
_STRETCH_BYTES: Final = 2**16

_CHECKED_STEPS: Final = 256

# Brackets that open, what comes before the next bracket, object or string, and brackets
# that close.
_next = re.compile(
    rb"[ \t\r\n,]*+((?:\[[ \t\r\n]*+){0,4096}+)"
    rb'([^\[\]{}"]*+)((?:\][ \t\r\n]*+){0,4096}+)'
).match


def walk_tensor(
    text: JsonText, pointer: str, dtype: DtypeName, max_elements: int, check: Check
) -> FloatArray:
    """Read a list as one tensor, rounded once to `dtype`.

    Args:
        text: Of the list.
        pointer: Where it stands in the body.
        dtype: Of the result's values.
        max_elements: More are refused.
        check: Called again and again; it may raise, and so end it.

    Raises:
        ElementError: `not_a_number`, `ragged`, `rank`, `overflow` or
            `too_many_elements`.
    """
    walk = _Walk(text, pointer, dtype, max_elements, outer=0)
    walk.run(check)
    return walk.values().reshape(walk.shape())


def walk_batch(
    text: JsonText, pointer: str, dtype: DtypeName, max_elements: int, check: Check
) -> Tensors:
    """Read a list of tensors, each of its own shape; see `walk_tensor`."""
    walk = _Walk(text, pointer, dtype, max_elements, outer=1)
    walk.run(check)
    return Tensors(walk.values(), walk.shapes)


@dataclass(slots=True)
class _Level:
    """A list that is open.

    Attributes:
        length: That it should have; None where it is the first of its level.
        count: Elements of it that are over.
    """

    length: int | None
    count: int = 0


class _Walk:
    """A walk through the text of a list.

    Args:
        text: Of the list.
        pointer: Where it stands.
        dtype: Of the values.
        max_elements: More are refused.
        outer: How many of the outermost lists hold tensors of any shape.

    Attributes:
        shapes: Of the tensors that are over, where there are such lists.
    """

    def __init__(
        self,
        text: JsonText,
        pointer: str,
        dtype: DtypeName,
        max_elements: int,
        *,
        outer: int,
    ) -> None:
        self._body = text.body
        # All that is before it is over; where an error is looked into, its element
        # begins here.
        self._position = text.start + outer
        self._pointer = pointer
        self._dtype: DtypeName = dtype
        self._beyond = BEYOND[dtype]
        self._max_elements = max_elements
        self._outer = outer
        self._open = [_Level(None) for _ in range(outer)]
        self._numbers = array("d")
        # Lists of the tensor at hand within each other, and the lengths of the first of
        # each level.
        self._rank = 0
        self._lengths: list[int | None] = []
        self.shapes: list[tuple[int, ...]] = []
        # Rows before this have no length in common.
        self._rows_after = 0

    def run(self, check: Check) -> None:
        """Go to the end of the list.

        Raises:
            ElementError: The first error.
        """
        steps = 0
        while True:
            steps += 1
            if not steps % _CHECKED_STEPS:
                check()
            if self._take_rows():
                continue
            found = _next(self._body, self._position)
            assert found is not None
            opens, run, closes = found.groups()
            if len(run) < _STRETCH_BYTES and self._take_alone(opens, run, closes):
                self._position = found.end()
                continue
            if opens:
                self._begin(found.start(1), opens.count(b"["))
            if run:
                self._take_run(found.start(2), found.end(2), check)
            self._position = found.start(3)
            if closes:
                for _ in range(closes.count(b"]")):
                    self._end()
                if not self._open:
                    return
            self._position = found.end()
            if not closes and self._body[self._position] in b'"{':
                self._refuse(value_at(self._body, self._position))

    def _take_rows(self) -> bool:
        """Take lists of numbers that are as they should be, if there are some now."""
        is_batch = len(self._open) == self._outer
        if self._position < self._rows_after or not (
            is_batch or self._depth == self._rank - 1
        ):
            return False
        stop, rows = read_rows(self._body, self._position, self._beyond, is_batch)
        self._rows_after = stop
        if rows is None or not self._has_room(len(rows.numbers)):
            return False
        numbers, shapes = rows
        if is_batch:
            self.shapes += shapes
        elif shapes.count((self._lengths[-1] or 0,)) != len(shapes):
            return False
        self._numbers.extend(numbers)
        self._open[-1].count += len(shapes)
        self._position = stop
        return True

    def _take_alone(self, opens: bytes, run: bytes, closes: bytes) -> bool:
        """Take a row in lists of one element each, or scalars of a batch."""
        around, outer = self._open, self._outer
        lists = opens.count(b"[")
        text = run.strip(b" \t\r\n,")
        tokens = text.split(b",") if text else []
        depth = len(around) - outer
        if lists != closes.count(b"]") or lists > MAX_RANK or not around:
            return False
        if outer and not depth:
            if not (lists or text):
                return False
            shape = (1,) * (lists - 1) + (len(tokens),) if lists else ()
        else:
            lengths = self._lengths
            if (
                not lists
                or depth + lists != self._rank
                or lengths[-1] != len(tokens)
                or lengths[depth:-1].count(1) != lists - 1
            ):
                return False
        if tokens:
            numbers = read_numbers(text, tokens, self._beyond)
            if numbers is None or not self._has_room(len(numbers)):
                return False
            self._numbers.extend(numbers)
        count = 1 if lists else len(tokens)
        around[-1].count += count
        if outer and not depth:
            self.shapes += [shape] * count
        return True

    def _has_room(self, elements: int) -> bool:
        return len(self._numbers) + elements <= self._max_elements

    def values(self) -> FloatArray:
        """Give all numbers, flat."""
        return round_to(np.frombuffer(self._numbers, np.float64), self._dtype)

    def shape(self) -> tuple[int, ...]:
        """Give the shape of the tensor at hand, whose lists are over."""
        return tuple(length or 0 for length in self._lengths)

    @property
    def _depth(self) -> int:
        return len(self._open) - self._outer

    def _place(self) -> str:
        return extend_pointer(self._pointer, *(level.count for level in self._open))

    def _begin(self, position: int, opened: int) -> None:
        """Go into lists."""
        if not self._depth:
            self._rank = opened
            self._lengths = [None] * opened
            if opened > MAX_RANK:
                raise ElementError(
                    "rank",
                    pointer=self._place(),
                    expected=f"lists nested at most {MAX_RANK} deep (SIGMOID_MAX_RANK)",
                    got="lists nested deeper",
                )
        for _ in range(opened):
            self._position = self._body.index(b"[", position)
            if self._depth == self._rank:
                self._refuse(value_at(self._body, self._position))
            self._open.append(_Level(self._lengths[self._depth]))
            position = self._position + 1

    def _end(self) -> None:
        """Go out of a list."""
        self._position = self._body.index(b"]", self._position) + 1
        level, depth = self._open.pop(), self._depth
        if depth < 0:  # it held tensors
            return
        if level.length is None:
            self._lengths[depth] = level.count
        elif level.length != level.count:
            self._raise(ragged_error(self._place(), level.length, level.count))
        if self._open:
            self._open[-1].count += 1
        if self._outer and not depth:
            self.shapes.append(self.shape())

    def _take_run(self, start: int, end: int, check: Check) -> None:
        """Take scalars that have commas between them."""
        while start < end:
            check()
            comma = self._body.find(b",", start + _STRETCH_BYTES, end)
            stop = end if comma < 0 else comma
            text = self._body[start:stop].strip(b" \t\r\n,")
            if text:
                self._position = start
                self._take(text)
            start = stop + 1

    def _take(self, text: bytes) -> None:
        tokens = text.split(b",")
        is_row = self._depth > 0
        if is_row and self._depth < self._rank:
            self._refuse(scalar(tokens[0].strip(SPACE)))
        numbers = read_numbers(text, tokens, self._beyond)
        if numbers is None:
            self._refuse_one_of(tokens)
        self._numbers.extend(numbers or ())
        if not self._has_room(0):
            outer = self._open[: self._outer]
            place = extend_pointer(self._pointer, *(level.count for level in outer))
            raise too_many_error(place, self._max_elements)
        self._open[-1].count += len(tokens)
        if not is_row:
            self.shapes += [()] * len(tokens)

    def _refuse_one_of(self, tokens: Sequence[bytes]) -> None:
        """Refuse the first scalar that is no number of the dtype."""
        row = self._open[-1]
        before = row.count
        for token in tokens:
            error = number_error(scalar(token.strip(SPACE)), self._place(), self._dtype)
            if error:
                row.count = before
                self._raise(error)
            row.count += 1

    def _refuse(self, value: Any) -> NoReturn:
        """Refuse the value that begins at the position."""
        place, depth = self._place(), self._depth
        if depth == self._rank or not depth:
            error = number_error(value, place, "float64")
            assert error is not None
            self._raise(error)
        expected = f"a list of {self._lengths[depth]}"
        self._raise(
            ElementError(
                "ragged" if type(value) is float else "not_a_number",
                pointer=place,
                expected=expected,
                got=json_type_name(value),
            )
        )

    def _raise(self, error: ElementError) -> NoReturn:
        """Raise it, unless a list around it is of the wrong length."""
        around = self._open[self._outer :]
        if any(level.length is not None for level in around):
            rest = count_rest(self._body, self._position, len(around))
            for place, (level, commas) in enumerate(
                zip(around, reversed(rest), strict=True), self._outer
            ):
                length = level.count + 1 + commas
                if level.length not in (None, length):
                    del self._open[place:]
                    error = ragged_error(self._place(), level.length, length)
                    break
        raise error
