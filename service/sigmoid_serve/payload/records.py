"""Records, `{"feature name": number, ...}`, to rows in the order of the features."""

import math
from array import array
from collections.abc import Iterator, Sequence, Set
from typing import Any, Final

import numpy as np
import orjson

from sigmoid_models.dtype import Float64Array
from sigmoid_serve.errors import ElementError
from sigmoid_serve.json.body import has_no_duplicates
from sigmoid_serve.json.text import (
    Check,
    JsonText,
    extend_pointer,
    json_type_name,
    members,
    past_space,
    value_at,
    value_end,
)
from sigmoid_serve.payload.array_shape import Unverified
from sigmoid_serve.payload.json_errors import number_error, too_many_error
from sigmoid_serve.payload.record_errors import missing_name_error, unknown_name_error

# Parsed in one call, which holds the interpreter: a few milliseconds.
_SLICE_BYTES: Final = 2**17

_COMMA, _END = b",]"

_NUMBERS: Final = {float, int}


def record_row(
    record: Any, names: Sequence[str] | None, ignores_extra: bool
) -> list[float] | None:
    """Read one record; None if anything is wrong with it.

    Args:
        record: What should be `{"feature name": number, ...}`.
        names: The names of the features, if the model has them.
        ignores_extra: Whether other members are passed over.
    """
    if names is None or type(record) is not dict:
        return None
    if len(record) != len(names) and not ignores_extra:
        return None
    row: list[Any] = list(map(record.get, names))
    is_good = set(map(type, row)) <= _NUMBERS and all(map(math.isfinite, row))
    return row if is_good else None


def read_records(
    text: JsonText,
    names: Sequence[str],
    max_elements: int,
    check: Check,
    ignores_extra: bool,
) -> Float64Array:
    """Read a list of records fast, if it can be verified.

    Args:
        text: A list whose first element is an object; it need not be JSON.
        names: The names of the features.
        max_elements: The most numbers that are read.
        check: Called again and again; it may raise, and so end the work.
        ignores_extra: Whether members that are no features are passed over.

    Returns:
        Rows, `(records, features)`.

    Raises:
        Unverified: The text has an error, or is written in an unusual way.
    """
    parts: list[Float64Array] = []
    elements = 0
    for part in _slices(text):
        check()
        try:
            records = orjson.loads(b"[" + part + b"]")
        except orjson.JSONDecodeError:
            raise Unverified from None
        rows = [record_row(record, names, ignores_extra) for record in records]
        if None in rows or not has_no_duplicates(part, records):
            raise Unverified
        elements += len(rows) * len(names)
        if elements > max_elements:
            raise Unverified
        parts.append(np.array(rows, np.float64).reshape(-1, len(names)))
    return np.concatenate(parts)


def _slices(text: JsonText) -> Iterator[bytes]:
    """Cut between records, as far as a closing brace and a comma tell."""
    body, start, stop = text.body, text.start + 1, text.stop - 1
    while start < stop:
        brace = body.find(b"}", start + _SLICE_BYTES, stop)
        end = stop if brace < 0 else brace + 1
        yield body[start:end]
        start = past_space(body, end)
        if start < stop:
            if body[start] != _COMMA:
                raise Unverified
            start += 1
            if start == stop:
                raise Unverified


def walk_records(
    text: JsonText,
    pointer: str,
    names: Sequence[str] | None,
    max_elements: int,
    check: Check,
    ignores_extra: bool,
) -> Float64Array:
    """Read a list of records, one after the other.

    Args:
        text: The list, found to be JSON.
        pointer: JSON Pointer of the list.
        names: The names of the features, if the model has them.
        max_elements: More elements are an error.
        check: Called again and again; it may raise, and so end the work.
        ignores_extra: Whether members that are no features are passed over.

    Raises:
        ElementError: The first error of a record, or `too_many_elements`.
    """
    body, position = text.body, past_space(text.body, text.start + 1)
    known = frozenset(names or ())
    numbers = array("d")
    rows = 0
    while True:
        check()
        record, place = value_at(body, position), extend_pointer(pointer, rows)
        row = walk_record(record, place, names, ignores_extra, known)
        numbers.extend(row)
        rows += 1
        if len(numbers) > max_elements:
            raise too_many_error(pointer, max_elements)
        position = past_space(body, value_end(body, position))
        if body[position] == _END:
            return np.frombuffer(numbers, np.float64).reshape(rows, -1)
        position = past_space(body, position + 1)


def walk_record(
    record: Any,
    pointer: str,
    names: Sequence[str] | None,
    ignores_extra: bool,
    known: Set[str] | None = None,
) -> Sequence[float]:
    """Read one record, one member after the other.

    Args:
        record: What should be `{"feature name": number, ...}`.
        pointer: JSON Pointer of the record.
        names: The names of the features, if the model has them.
        ignores_extra: Whether members that are no features are passed over.
        known: The same names, as a set.

    Raises:
        ElementError: Its first error: `ragged`, `not_a_number`, `overflow` or
            `features`.
    """
    if not isinstance(record, JsonText) or record.is_list:
        is_shape = isinstance(record, JsonText | float)
        raise ElementError(
            "ragged" if is_shape else "not_a_number",
            pointer=pointer,
            expected="a record like the first (records and rows do not mix)",
            got=json_type_name(record),
        )
    if names is None:
        raise ElementError(
            "not_a_number",
            pointer=pointer,
            expected="numbers (this model does not name its features)",
            got=json_type_name(record),
        )
    known = frozenset(names) if known is None else known
    row: dict[str, float] = {}
    for name, value in members(record):
        if name in known:
            error = _value_error(value, extend_pointer(pointer, name))
            if error:
                raise error
            row[name] = value
        elif not ignores_extra:
            raise _unknown_error(record, name, pointer, names, known)
    missing = [name for name in names if name not in row]
    if missing:
        raise missing_name_error(pointer, missing, names)
    return [row[name] for name in names]


def _unknown_error(
    record: JsonText, first: str, pointer: str, names: Sequence[str], known: Set[str]
) -> ElementError:
    """Make the error of a record that has unknown names, of which `first` is one."""
    place = extend_pointer(pointer, first)
    told = json_type_name(record)
    if told != "an object":
        return ElementError(
            "features", pointer=place, expected="names of features", got=told
        )
    given = {name: None for name, _ in members(record)}
    unknown = [name for name in given if name not in known]
    return unknown_name_error(place, unknown, given, names)


def _value_error(value: Any, pointer: str) -> ElementError | None:
    if isinstance(value, JsonText) and value.is_list:
        return ElementError(
            "ragged",
            pointer=pointer,
            expected="a number (a record is one row; send a list of records)",
            got=json_type_name(value),
        )
    return number_error(value, pointer, "float64")
