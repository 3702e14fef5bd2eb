"""Bytes of JSON to the fields of an object, strictly and without losing a digit.

There are two ways. The fast one takes what it can verify and gives up on all else. The
strict one takes all JSON and says what is wrong. It finds what most parsers accept:
duplicate keys, numbers too large for a float64, and the constants that JSON does not
have (`NaN`, `Infinity`).
"""

from collections.abc import Collection, Sequence
from typing import Any, Final

import orjson

from sigmoid_serve.json.syntax import read_members
from sigmoid_serve.json.text import Check, JsonText, value_at

# Arrays of longer bodies stay text, which is read faster than a parser's lists.
_SMALL_BYTES: Final = 4096

# The most bytes of all other fields together.
_AROUND_BYTES: Final = 4096


def parse_quickly(body: bytes) -> dict[str, Any] | None:
    """Parse a body in the fast way, if that can be verified.

    Returns:
        The fields; in a long body, the list is a `JsonText` that need not be JSON. None
        if the body could not be verified: it may have an error or not.
    """
    if len(body) > _SMALL_BYTES:
        return _around_list(body)
    return _without_duplicates(body)


def _around_list(body: bytes) -> dict[str, Any] | None:
    """Parse what stands before the first `[` and behind the last `]`.

    An empty list is put in place of what is between, and nothing around it can be
    another list. So if a member's value is an empty list, it is this one: it was not
    inside a string, nor inside an object.
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
    """Parse a body; None if it may have duplicate keys."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if type(document) is not dict:
        return None
    if body.count(b":") == len(document):  # rows, mostly
        return document
    objects = [document]
    for value in document.values():
        if type(value) is dict:
            objects.append(value)
        elif type(value) is list and value and type(value[0]) is dict:
            objects += [part for part in value if type(part) is dict]
    return document if has_no_duplicates(body, objects) else None


def has_no_duplicates(text: bytes, objects: Sequence[dict[str, Any]]) -> bool:
    """Tell whether it is beyond doubt that no object has a key twice.

    Each member has a colon, and a parser drops duplicates. So if there are as many
    colons as members, there was no duplicate. Other colons may stand in strings.

    Args:
        text: That was parsed.
        objects: That were found in it; in a doubt, there are others.
    """
    others = text.count(b":") - sum(map(len, objects))
    if not others:
        return True
    # A colon that is written as an escape, `\u003a`, is none in the text.
    return b"\\u003" not in text and others == sum(
        value.count(":")
        for each in objects
        for value in each.values()
        if type(value) is str
    )


def parse_strictly(
    body: bytes, check: Check, known: Collection[str] = ()
) -> dict[str, Any]:
    """Parse a body whose top level must be an object.

    Args:
        body: The whole body.
        check: Called again and again; it may raise, and so end the work.
        known: Names of members that are returned wherever they stand.

    Returns:
        The first members, at least 16 of those that there are. Every number, also an
        integer of any length, is the nearest float64, or an infinity if it is too
        large. Lists and objects are a `JsonText`.

    Raises:
        ServiceError: `malformed_json`.
    """
    document: dict[str, Any] = {}
    for name, start, stop in read_members(body, check, known):
        value = value_at(body, start)
        is_text = isinstance(value, JsonText)
        document[name] = JsonText(body, start, stop) if is_text else value
    return document
