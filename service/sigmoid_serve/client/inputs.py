"""What a caller asks about, as bodies of requests: whole, or cut between rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sigmoid_serve.client.arrays import as_array, check_finite, is_array, write_npy
from sigmoid_serve.client.frames import (
    columns_of,
    is_series,
    numbers_of,
    stacked,
)
from sigmoid_serve.client.text import leaves, write_json

JSON = "application/json"
NPY = "application/x-npy"

_IN_NPY: Final = ("float16", "float32", "float64")


class Body(NamedTuple):
    """The body of a request.

    Attributes:
        content: All of it.
        media: What it is written in.
    """

    content: bytes
    media: str


class Inputs(NamedTuple):
    """What a caller asks about.

    Attributes:
        parts: Into so many it can be cut at most; 0 where it is empty.
        numbers: That a part has, or would have if it is right.
        body: Writes the body for the parts from a first to behind a last one.
        lead: Shape of the parts, where they are laid out as one list to be sent; None
            where they are sent as they are.
    """

    parts: int
    numbers: int
    body: Callable[[int, int], Body]
    lead: tuple[int, ...] | None = None


def rows_of(rows: Any) -> Inputs:
    """Read rows of features that are no frame.

    Raises:
        InvalidInputError: They cannot be sent: no numbers, NaN, masked.
    """
    if is_series(rows):
        rows = _row_of(rows)
    if not is_array(rows):
        are_many = isinstance(rows, list | tuple) and rows and not _is_one(rows[0])
        return _listed(rows, b"}", can_cut=bool(are_many))
    array = as_array(rows)
    check_finite(array)
    if not array.size or not array.ndim:
        return Inputs(1, 1, lambda start, stop: Body(write_npy(array), NPY))
    lead, features = array.shape[:-1], array.shape[-1]
    return _laid_out(array.reshape(-1, features), features, lead)


def _row_of(series: Any) -> Any:
    """Turn a series into one row: a record where its index has names."""
    if hasattr(series, "isna") and hasattr(series, "index"):
        names = series.index.tolist()
        if names and all(isinstance(name, str) for name in names):
            return dict(zip(names, series.tolist(), strict=True))
    return numbers_of(None, series)


def _is_one(value: Any) -> bool:
    """Tell whether it is a number, or else what is none, and no row."""
    if is_array(value):
        return np.ndim(value) == 0
    return not isinstance(value, list | tuple | dict) and not is_series(value)


def rows_of_columns(columns: Sequence[NDArray[Any]]) -> Inputs:
    """Lay out columns as rows of features, in this order.

    Args:
        columns: `(rows,)` each, at least one.
    """
    rows = len(columns[0])

    def body(start: int, stop: int) -> Body:
        some = stacked([column[start:stop] for column in columns])
        return Body(write_npy(some), NPY)

    return Inputs(rows, len(columns), body, (rows,))


def elements_of(values: Any, dtype: str | None) -> Inputs:
    """Read numbers of any shape.

    Args:
        values: A number, lists, an array, a series or a frame.
        dtype: That is asked for; None for that of an array, float32 for others.

    Raises:
        InvalidInputError: They cannot be sent.
    """
    columns = None if isinstance(values, Mapping) else columns_of(values)
    if columns:
        values = stacked([column for _, column in columns])
    elif is_series(values):
        values = numbers_of(None, values)
    end = b"}" if dtype is None else b',"dtype":' + write_json(str(dtype)) + b"}"
    if not is_array(values):
        return _listed(values, end, can_cut=isinstance(values, list | tuple))
    array = as_array(values)
    check_finite(array)
    if dtype is not None and dtype in _IN_NPY and np.can_cast(array.dtype, dtype):
        array, dtype = array.astype(dtype), None
    if not array.size:
        return Inputs(1, 1, lambda start, stop: Body(write_npy(array), NPY))
    flat = array.reshape(-1)
    if dtype is None:
        return _laid_out(flat, 1, array.shape)
    # The service rounds: what is beyond the dtype is an error there, not infinity.
    listed = _listed(flat, end, can_cut=True)
    return listed._replace(lead=array.shape)


def _laid_out(array: NDArray[Any], numbers: int, lead: tuple[int, ...]) -> Inputs:
    """Send an array as `.npy`, cut along its first dimension."""
    return Inputs(
        len(array),
        numbers,
        lambda start, stop: Body(write_npy(array[start:stop]), NPY),
        lead,
    )


def _listed(values: Any, end: bytes, *, can_cut: bool) -> Inputs:
    """Send what is written as JSON, cut between the elements of a list."""

    def body(start: int, stop: int) -> Body:
        some = values[start:stop] if can_cut else values
        return Body(b'{"inputs":' + write_json(some) + end, JSON)

    if can_cut and len(values):
        return Inputs(len(values), leaves(values[0]), body)
    return Inputs(1, leaves(values), body)
