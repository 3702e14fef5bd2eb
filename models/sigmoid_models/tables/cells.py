"""Columns of cells made numbers: the nearest float64, or the reason why not."""

import re
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmoid_models.dtype import Float64Array
from sigmoid_models.tables.table import Decimal, Numbers

# What programs write where there is no value, in lower case.
MISSING: Final = ("", "na", "n/a", "nan", "null", "none", "?", "-", "#n/a", "<na>")

_FORMS: Final[dict[Decimal, str]] = {
    mark: rf"^[+-]?([0-9]+[{mark}]?[0-9]*|[{mark}][0-9]+)([eE][+-]?[0-9]+)?$"
    for mark in (".", ",")
}

_THOUSANDS: Final = re.compile(
    r"[+-]?\d{1,3}(?:(?:,\d{3})+(?:\.\d*)?|(?:\.\d{3})+(?:,\d*)?"
    r"|(?:['’_ \u00a0\u202f]\d{3})+(?:[.,]\d*)?)"
)
_INFINITE: Final = re.compile(r"[+-]?inf(?:inity)?|-?1\.#inf", re.IGNORECASE)


def to_numbers(array: Any, decimal: Decimal) -> Numbers:
    """Read a pyarrow array as numbers.

    Args:
        array: Of text, numbers or anything else.
        decimal: The decimal mark of text.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_decimal(kind):
        # By its digits, which gives the nearest number.
        return _of_text(array.cast(pa.string()), ".")
    if _is_text(kind):
        return _of_text(array, decimal)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = _as_numpy(array.cast(pa.float64(), safe=False))
        return Numbers(values, np.isnan(values), np.isinf(values))
    missing = np.asarray(array.is_null())
    return Numbers(np.full(len(array), np.nan), missing, ~missing)


def to_texts(array: Any) -> list[str]:
    """Read a pyarrow array as text; an absent value is the empty text."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type):
        # Each written in the digits of its own type.
        values = array.to_numpy(zero_copy_only=False)
        return ["" if np.isnan(x) else str(x).removesuffix(".0") for x in values]
    if not _is_text(array.type):
        array = array.cast(pa.string())
    return ["" if text is None else text for text in array.to_pylist()]


def is_number(cell: str, decimal: Decimal = ".") -> bool:
    """Say whether a cell reads as a number, spaces around it aside."""
    return re.match(_FORMS[decimal], cell.strip(), re.ASCII) is not None


def reason(cell: str, decimal: Decimal) -> str | None:
    """Say what a cell that is no number seems to be, and what to do, if it is known."""
    text = cell.strip()
    if text.lower() in MISSING:
        return "a missing value"
    if _THOUSANDS.fullmatch(text):
        said = "digits are grouped by thousands; write the number without"
        if decimal == "." and re.fullmatch(r"[+-]?\d+,\d+", text):
            said += ", or give --decimal , if the comma is the decimal mark"
        return said
    if _INFINITE.fullmatch(text) or is_number(text, decimal):
        return "beyond the largest float64"
    other: Decimal = "," if decimal == "." else "."
    if is_number(text, other):
        return f"give --decimal {other} if that is the decimal mark of all numbers"
    return None


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _of_text(array: Any, decimal: Decimal) -> Numbers:
    if decimal == ".":
        try:
            values = _as_numpy(array.cast(pa.float64()))
        except pa.ArrowInvalid:
            pass
        else:
            if np.isfinite(values).all():
                nowhere = np.zeros(len(values), dtype=np.bool_)
                return Numbers(values, nowhere, nowhere)
    bare = pc.utf8_trim_whitespace(array)
    # A quote behind a space does not quote in CSV; some programs write it so.
    bare = pc.replace_substring_regex(bare, r'^"\s*([^"]*?)\s*"$', r"\1")
    lowered = pc.utf8_lower(bare)
    absent = pc.is_in(lowered, value_set=pa.array([*MISSING, None], lowered.type))
    missing = np.asarray(absent)
    is_form = pc.match_substring_regex(bare, _FORMS[decimal])
    digits = pc.if_else(is_form, bare, pa.scalar(None, bare.type))
    if decimal == ",":
        digits = pc.replace_substring(digits, ",", ".")
    values = _as_numpy(digits.cast(pa.float64()))
    return Numbers(values, missing, ~missing & ~np.isfinite(values))


def _as_numpy(array: Any) -> Float64Array:
    values: Float64Array = array.to_numpy(zero_copy_only=False)
    return values
