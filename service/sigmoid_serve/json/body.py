"""Bytes of JSON to the fields of an object, strictly and without losing a digit.

There are two ways. The fast one takes what it can prove to be right and gives up on all
else. The strict one says what is wrong; it judges what parsers mostly pass over:
duplicate keys, numbers too large for a float64, and the constants that JSON does not
have (`NaN`, `Infinity`).
"""

from typing import Any, Final

import orjson

from sigmoid_serve.json.syntax import read_members
from sigmoid_serve.json.text import Check, JsonText, value_at

# From here on it is faster to leave an array's text alone than to make lists of it.
_SMALL_BYTES: Final = 4096

# Fields other than the array are short.
_AROUND_BYTES: Final = 4096


def parse_quickly(body: bytes) -> dict[str, Any] | None:
    """Parse a body in the way that is fast, as far as it is beyond doubt.

    Returns:
        The fields; of a long body the one list as a `JsonText` that need not be JSON.
        None where there is a doubt.
    """
    if len(body) > _SMALL_BYTES:
        return _around_list(body)
    return _without_duplicates(body)


def _around_list(body: bytes) -> dict[str, Any] | None:
    """Parse what stands around the first `[` and the last `]`.

    Nothing around has brackets, so if an empty list put in their place comes out as
    the value of a member, then it was not inside a string. If it was inside an object,
    it comes out in that.
    """
    start, stop = body.find(b"["), body.rfind(b"]") + 1
    around = len(body) - (stop - start)
    if start < 0 or around > _AROUND_BYTES:
        return None
    document = _without_duplicates(body[:start] + b"[]" + body[stop:]) or {}
    for name, value in document.items():
        if value == []:
            return {**document, name: JsonText(body, start, stop)}
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


def parse_strictly(body: bytes, check: Check) -> dict[str, Any]:
    """Parse a body whose top level must be an object.

    Args:
        body: All of it.
        check: Called again and again; it may raise, and so end it.

    Returns:
        The first of its members, 16 at least of those that there are. Every number is
        the nearest float64, integers of any length included; one that is too large an
        infinity, which nothing else is. Lists and objects are a `JsonText`.

    Raises:
        ServiceError: `malformed_json`.
    """
    document: dict[str, Any] = {}
    for name, start, stop in read_members(body, check):
        value = value_at(body, start)
        is_text = isinstance(value, JsonText)
        document[name] = JsonText(body, start, stop) if is_text else value
    return document
