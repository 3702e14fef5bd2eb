"""Columns by name: frames of pandas and polars, and dictionaries of columns."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sigmoid_serve.client.arrays import as_array, is_array
from sigmoid_serve.client.errors import InvalidInputError, invalid

Columns = list[tuple[Any, NDArray[Any]]]
"""Names, and what stands below each: numbers `(rows,)`, all finite."""

_FILL: Final = (
    "fill it in (frame.fillna, fill_null), or drop the row; nothing is coerced"
)
_CONVERT: Final = "convert the column to float; nothing is coerced"


def is_series(value: Any) -> bool:
    """Tell whether it is one column of pandas or polars."""
    return hasattr(value, "to_numpy") and hasattr(value, "dtype")


def columns_of(value: Any) -> Columns | None:
    """Read a frame, or a dictionary of columns.

    Returns:
        None for what is neither, a record of single numbers among it.

    Raises:
        InvalidInputError: A column has something else than finite numbers, or two
            columns have one name, or another length.
    """
    if hasattr(value, "iloc") and hasattr(value, "columns"):
        named = [(name, value.iloc[:, n]) for n, name in enumerate(value.columns)]
    elif hasattr(value, "get_columns"):
        named = [(column.name, column) for column in value.get_columns()]
    elif hasattr(value, "collect") and hasattr(value, "collect_schema"):
        raise invalid(
            "dtype",
            "expected rows, got a lazy frame, which holds none yet",
            "pass frame.collect()",
        )
    elif isinstance(value, Mapping) and any(map(_is_column, value.values())):
        named = [*value.items()]
    else:
        return None
    columns = [(name, numbers_of(name, column)) for name, column in named]
    _check_names(columns)
    _check_lengths(columns)
    return columns


def _is_column(value: Any) -> bool:
    if isinstance(value, list | tuple) or is_series(value):
        return True
    return is_array(value) and np.ndim(value) > 0


def _check_names(columns: Columns) -> None:
    seen = set()
    for name, _ in columns:
        if str(name) in seen:
            raise invalid(
                "features",
                f"expected columns of different names, got {_shown(name)} twice",
                "rename or drop one of them",
            )
        seen.add(str(name))


def _check_lengths(columns: Columns) -> None:
    for name, column in columns:
        if len(column) != len(columns[0][1]):
            raise invalid(
                "ragged",
                f"expected {len(columns[0][1])} numbers in column {_shown(name)} as "
                f"in {_shown(columns[0][0])}, got {len(column)}",
                "all columns must have the same length",
            )


def stacked(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Lay columns side by side, `(rows, columns)`, in a type that holds all exactly."""
    return np.stack([_wide(column) for column in columns], axis=1)


def _wide(column: NDArray[Any]) -> NDArray[Any]:
    # Long integers are rounded as the service rounds them.
    return column if column.dtype.kind == "f" else column.astype(np.float64)


def numbers_of(name: Any, column: Any) -> NDArray[Any]:
    """Read one column.

    Args:
        name: Of the column, for errors; None for a series of its own.
        column: A series, an array or a list.

    Returns:
        Finite numbers, `(rows,)`.

    Raises:
        InvalidInputError: One of them is no finite number.
    """
    if isinstance(column, list | tuple):
        return _from_objects(name, column)
    dtype = getattr(column, "dtype", None)
    if hasattr(column, "is_null") and hasattr(dtype, "is_numeric"):
        array = _from_polars(name, column)
    elif is_series(column) and hasattr(column, "isna"):
        array = _from_pandas(name, column)
    else:
        array = as_array(column)
    if array.ndim != 1:
        raise _bad(
            name, 0, "a number", f"an array of shape {array.shape[1:]}", _CONVERT
        )
    if array.dtype.kind == "f":
        finite = np.isfinite(array)
        if not finite.all():
            row = int(np.argmin(finite))
            missing = "NaN (missing)" if np.isnan(array[row]) else "an infinity"
            raise _bad(name, row, "a finite number", missing, _FILL)
    return array


def _from_polars(name: Any, column: Any) -> NDArray[Any]:
    dtype = column.dtype
    if column.null_count():
        row = int(column.is_null().arg_max())
        raise _bad(name, row, "a number", "null", _FILL)
    if not (dtype.is_float() or dtype.is_integer()):
        raise _bad(name, 0, "a number", f"a value of type {dtype}", _CONVERT)
    return as_array(column.to_numpy())


def _from_pandas(name: Any, column: Any) -> NDArray[Any]:
    kind = column.dtype.kind
    if kind == "O" and isinstance(column.dtype, np.dtype):
        return _from_objects(name, column.tolist())
    missing = column.isna().to_numpy()
    if missing.any():
        raise _bad(name, int(np.argmax(missing)), "a number", "a missing value", _FILL)
    # Categories have a kind as well, that of objects.
    if kind not in "iuf":
        raise _bad(name, 0, "a number", f"a value of type {column.dtype}", _CONVERT)
    if isinstance(column.dtype, np.dtype):
        return as_array(column.to_numpy())
    return as_array(column.to_numpy(dtype=np.float64))


def _from_objects(name: Any, values: Sequence[Any]) -> NDArray[Any]:
    numbers = [
        value.item() if isinstance(value, np.generic) else value for value in values
    ]
    if not set(map(type, numbers)) <= {int, float}:
        row = next(n for n, v in enumerate(numbers) if type(v) not in (int, float))
        got = "null" if numbers[row] is None else f"a {type(numbers[row]).__name__}"
        hint = _FILL if numbers[row] is None else _CONVERT
        raise _bad(name, row, "a number", got, hint)
    try:
        return np.array(numbers, np.float64)
    except OverflowError:
        row = next(n for n, value in enumerate(numbers) if abs(value) >= 2**1024)
        got = "an integer beyond float64"
        raise _bad(name, row, "a number of float64", got, _CONVERT) from None


def _bad(name: Any, row: int, expected: str, got: str, hint: str) -> InvalidInputError:
    if name is None:
        pointer = place = f"/inputs/{row}"
    else:
        pointer = f"/inputs/{row}/{_escaped(name)}"
        place = f"row {row} of column {_shown(name)}"
    return invalid(
        "not_a_number",
        f"expected {expected} at {place}, got {got}",
        hint,
        pointer=pointer,
        expected=expected,
        got=got,
    )


def _escaped(name: Any) -> str:
    """Write a name as a token of a JSON Pointer (RFC 6901)."""
    return str(name).replace("~", "~0").replace("/", "~1")


def _shown(name: Any) -> str:
    return repr(name)[:80]
