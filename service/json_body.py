"""Bytes of JSON to Python values, strictly and without losing a digit.

There are two ways. The fast one takes what it can prove to be right and gives up on all
else. The strict one says what is wrong: the standard library's parser alone shows what
this service must judge, which is duplicate keys, numbers too large for a float64, and
the constants that JSON does not have (`NaN`, `Infinity`).
"""

import json
import json.scanner
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from service.array_text import ArrayText
from service.errors import ElementError, ServiceError
from service.lookalikes import recognise

# From here on it is faster to leave an array's text alone than to make lists of it.
_SMALL_BYTES = 4096

# Fields other than the array are short.
_AROUND_BYTES = 4096

# Python objects for this much are made within a few milliseconds.
_SLICE_BYTES = 2**16

# Python objects for more than this take the interpreter for too long at once.
_MEDIUM_BYTES = 2**19


@dataclass(frozen=True)
class Constant:
    """`NaN`, `Infinity` or `-Infinity`, which some encoders write as numbers."""

    name: str


def parse_quickly(body: bytes) -> Iterable[dict[str, Any]]:
    """Parse a body in the ways that are fast, as far as they are beyond doubt.

    Returns:
        What `parse_object` would return, but with integers as they are, and first with
        the one array of a long body as an `ArrayText`. Nothing where there is a doubt.
    """
    if len(body) > _SMALL_BYTES:
        return _parse_long(body)
    document = _without_duplicates(body)
    return () if document is None else (document,)


def _parse_long(body: bytes) -> Iterator[dict[str, Any]]:
    document = _around_array(body)
    if document is not None:
        yield document
    if len(body) <= _MEDIUM_BYTES:
        document = _without_duplicates(body)
        if document is not None:
            yield document


def _around_array(body: bytes) -> dict[str, Any] | None:
    """Parse what stands around the first `[` and the last `]`.

    Nothing around has brackets, so if an empty list put in their place comes out as
    the value of a member, then it was not inside a string or an object.
    """
    start, stop = body.find(b"["), body.rfind(b"]") + 1
    around = len(body) - (stop - start)
    if start < 0 or around > _AROUND_BYTES or body.find(b"{", start, stop) >= 0:
        return None
    document = _without_duplicates(body[:start] + b"[]" + body[stop:]) or {}
    for name, value in document.items():
        if value == []:
            return {**document, name: ArrayText(body, start, stop)}
    return None


def _without_duplicates(body: bytes) -> dict[str, Any] | None:
    """Parse a body that has as many colons as its objects have members.

    Each member brought a colon, a duplicate too, so none of them was lost.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if type(document) is not dict:
        return None
    members = len(document)
    for value in document.values():
        if type(value) is dict:
            members += len(value)
        elif type(value) is list and value and type(value[0]) is dict:
            members += sum(len(part) for part in value if type(part) is dict)
    return document if body.count(b":") == members else None


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse a body whose top level must be an object.

    Every number becomes the nearest float64, integers of any length included; one that
    is too large becomes an infinity, which nothing else in the result is.

    Raises:
        ServiceError: `malformed_json`, or `rank` for lists nested beyond all measure.
    """
    try:
        decoder = _DECODER if len(body) <= _MEDIUM_BYTES else _PATIENT_DECODER
        document = decoder.decode(body.decode("utf-8"))
    except RecursionError:
        raise _too_deep(body) from None
    except UnicodeDecodeError as error:
        raise _not_json(body, f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        what = "the body is empty" if not body.strip() else error.msg
        place = f"(line {error.lineno}, column {error.colno})"
        raise _not_json(body, f"{what} {place}") from None
    if not isinstance(document, dict):
        raise malformed('the top level must be an object, such as {"inputs": [0.5]}')
    return document


def _not_json(body: bytes, finding: str) -> ServiceError:
    known = recognise(body)
    return malformed(f"it {known}" if known else finding)


def malformed(finding: str) -> ServiceError:
    """Make the error of a body that is not the JSON it should be."""
    return ServiceError("malformed_json", f"the body is not valid JSON: {finding}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise malformed("an object has the same key twice")
    for key in result:
        if not key.isascii() and any("\ud800" <= c <= "\udfff" for c in key):
            raise malformed("a key has half of a surrogate pair")
    return result


def _too_deep(body: bytes) -> ServiceError:
    """Tell a tensor of absurd rank from text that only opens brackets."""
    text = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", body)
    if text.count(b"[") != text.count(b"]") or text.count(b"{") != text.count(b"}"):
        return malformed("its brackets do not match")
    return ElementError(
        "rank",
        pointer=None,
        expected="lists nested at most 32 deep (SIGMOID_MAX_RANK)",
        got="lists nested far deeper",
    )


_DECODER = json.JSONDecoder(
    parse_int=float, parse_constant=Constant, object_pairs_hook=_object
)


class _PatientDecoder(json.JSONDecoder):
    """Decodes the same, but lets other threads run every few milliseconds.

    The standard library's decoder in C holds the interpreter from start to end. This
    is its twin in Python, which goes to the one in C for each array of numbers alone.
    """

    def __init__(self) -> None:
        super().__init__(
            parse_int=float, parse_constant=Constant, object_pairs_hook=_object
        )
        self.parse_array = _parse_array
        self.scan_once = json.scanner.py_make_scanner(self)  # type: ignore[attr-defined]


def _parse_array(
    text_and_start: tuple[str, int], scan_once: Callable[..., Any]
) -> tuple[list[Any], int]:
    """Parse the array whose `[` stands before `start`; return it and where it ends."""
    text, start = text_and_start
    stop = text.find("]", start)
    if stop < 0 or any(text.find(c, start, stop) >= 0 for c in '[{"'):
        array: tuple[list[Any], int] = json.decoder.JSONArray(  # type: ignore[attr-defined]
            text_and_start, scan_once
        )
        return array
    values: list[Any] = []
    is_cut = False
    while start <= stop:
        comma = text.find(",", start + _SLICE_BYTES, stop)
        end = stop if comma < 0 else comma
        is_cut = is_cut or end < stop
        part = _parse_flat(text, start, end)
        # Between two commas there must be something.
        if is_cut and not part:
            raise json.JSONDecodeError("Expecting value", text, end)
        values += part
        start = end + 1
    return values, stop + 1


def _parse_flat(text: str, start: int, stop: int) -> list[Any]:
    try:
        flat: list[Any] = _DECODER.decode(f"[{text[start:stop]}]")
    except json.JSONDecodeError as error:
        raise json.JSONDecodeError(error.msg, text, start + error.pos - 1) from None
    return flat


_PATIENT_DECODER = _PatientDecoder()
