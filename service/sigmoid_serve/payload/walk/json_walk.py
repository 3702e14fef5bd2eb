"""Tensors from the text of JSON, element by element: all numbers, or the first error.

This is the slow way, for texts that the fast ways could not verify: it finds out what
is wrong. It makes no Python object of a list, so that its memory is that of the
numbers, whatever the text. It reads a stretch at a time, so that other threads run
meanwhile. The text was found to be JSON before (`sigmoid_serve.json.syntax`).
"""

import re
from array import array
from typing import Final

import numpy as np

from sigmoid_models.dtype import DtypeName, FloatArray, round_to
from sigmoid_serve.errors import ElementError
from sigmoid_serve.json.text import SPACE, Check, JsonText, scalar, value_at
from sigmoid_serve.payload.array_shape import MAX_RANK
from sigmoid_serve.payload.array_text import Tensors
from sigmoid_serve.payload.json_errors import BEYOND, too_many_error
from sigmoid_serve.payload.walk.first_error import (
    first_error,
    scalars_error,
    value_error,
)
from sigmoid_serve.payload.walk.json_rows import read_numbers, read_rows
from sigmoid_serve.payload.walk.nesting import Nesting

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
        text: The text of the list.
        pointer: JSON Pointer of the list.
        dtype: The dtype of the result.
        max_elements: More elements are an error.
        check: Called again and again; it may raise, and so end the walk.

    Raises:
        ElementError: `not_a_number`, `ragged`, `rank`, `overflow` or
            `too_many_elements`.
    """
    walk = _Walk(text, Nesting(pointer, outer=0), dtype, max_elements)
    walk.run(check)
    return walk.values().reshape(walk.nesting.shape())


def walk_batch(
    text: JsonText, pointer: str, dtype: DtypeName, max_elements: int, check: Check
) -> Tensors:
    """Read a list of tensors, each of its own shape; see `walk_tensor`."""
    walk = _Walk(text, Nesting(pointer, outer=1), dtype, max_elements)
    walk.run(check)
    return Tensors(walk.values(), walk.nesting.shapes)


class _Walk:
    """A walk through the text of a list.

    Args:
        text: The text of the list.
        nesting: The lists that are open before it.
        dtype: The dtype of the values.
        max_elements: More elements are an error.

    Attributes:
        nesting: The lists that are open.
    """

    def __init__(
        self, text: JsonText, nesting: Nesting, dtype: DtypeName, max_elements: int
    ) -> None:
        self.nesting = nesting
        self._body = text.body
        # All text before it was read; where there is an error, the wrong element begins
        # here.
        self._position = text.start + nesting.outer
        self._dtype: DtypeName = dtype
        self._beyond = BEYOND[dtype]
        self._max_elements = max_elements
        self._numbers = array("d")
        # There are no rows of one length before this position.
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
                self._open(found.start(1), opens.count(b"["))
            if run:
                self._take_run(found.start(2), found.end(2), check)
            self._position = found.start(3)
            if closes:
                for _ in range(closes.count(b"]")):
                    self._close()
                if not self.nesting.lists:
                    return
            self._position = found.end()
            if not closes and self._body[self._position] in b'"{':
                raise self._first(self._value_error())

    def _take_rows(self) -> bool:
        """Take lists of numbers without an error, if some of them come next."""
        if self._position < self._rows_after:
            return False
        nesting = self.nesting
        depth = nesting.depth
        if depth and depth != nesting.rank - 1:
            return False
        stop, rows = read_rows(self._body, self._position, self._beyond, not depth)
        self._rows_after = stop
        if rows is None or not self._has_room(len(rows.numbers)):
            return False
        numbers, shapes = rows
        if not depth:
            nesting.shapes += shapes
        elif shapes.count((nesting.lengths[-1] or 0,)) != len(shapes):
            return False
        self._numbers.extend(numbers)
        nesting.lists[-1].count += len(shapes)
        self._position = stop
        return True

    def _take_alone(self, opens: bytes, run: bytes, closes: bytes) -> bool:
        """Take a row in lists of one element each, or scalars of a batch."""
        nesting = self.nesting
        around, outer = nesting.lists, nesting.outer
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
            lengths = nesting.lengths
            if (
                not lists
                or depth + lists != nesting.rank
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
            nesting.shapes += [shape] * count
        return True

    def _has_room(self, elements: int) -> bool:
        return len(self._numbers) + elements <= self._max_elements

    def values(self) -> FloatArray:
        """Give all numbers, flat."""
        return round_to(np.frombuffer(self._numbers, np.float64), self._dtype)

    def _open(self, position: int, opened: int) -> None:
        """Go into lists."""
        nesting = self.nesting
        depth = nesting.depth
        if not depth:
            nesting.begin_tensor(opened)
        for level in range(depth, depth + opened):
            self._position = self._body.index(b"[", position)
            if level == nesting.rank:
                raise self._first(self._value_error())
            nesting.open(level)
            position = self._position + 1

    def _close(self) -> None:
        """Go out of a list."""
        self._position = self._body.index(b"]", self._position) + 1
        if error := self.nesting.close():
            raise self._first(error)

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
        nesting = self.nesting
        tokens = text.split(b",")
        is_row = nesting.depth > 0
        if is_row and nesting.depth < nesting.rank:
            raise self._first(value_error(scalar(tokens[0].strip(SPACE)), nesting))
        numbers = read_numbers(text, tokens, self._beyond)
        if numbers is None:
            raise self._first(scalars_error(tokens, nesting, self._dtype))
        self._numbers.extend(numbers)
        if not self._has_room(0):
            raise too_many_error(nesting.tensor_pointer(), self._max_elements)
        nesting.lists[-1].count += len(tokens)
        if not is_row:
            nesting.shapes += [()] * len(tokens)

    def _value_error(self) -> ElementError:
        """Make the error of the list, object or string that begins at the position."""
        return value_error(value_at(self._body, self._position), self.nesting)

    def _first(self, error: ElementError) -> ElementError:
        return first_error(error, self.nesting, self._body, self._position)
