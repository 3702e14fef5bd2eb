"""The outline of a body: its fields as Python objects, with long lists left as text.

For bodies of objects in lists, whose long lists are the values of members of one name.
As in `body`, the fast way takes what it can verify, and the strict way takes all JSON.
"""

import json
import re
import secrets
from collections.abc import Collection
from typing import Any, Final

import orjson

from sigmoid_serve.errors import ElementError
from sigmoid_serve.json.body import has_no_duplicates
from sigmoid_serve.json.scanner import skip_value
from sigmoid_serve.json.syntax import read_members
from sigmoid_serve.json.syntax_errors import malformed
from sigmoid_serve.json.text import (
    Check,
    JsonText,
    json_type_name,
    past_space,
    string_end,
    value_at,
    value_end,
)

# The most bytes beside a list, in the fast way and in the strict one.
_AROUND_BYTES: Final = 4096
_OUTLINE_BYTES: Final = 2**16

# Places where the name may stand and be no name of a list.
_MOST_PLACES: Final = 8

# Lists and objects that are nested deeper stay text.
_MOST_DEPTH: Final = 3

_list_after = re.compile(rb"[ \t\r\n]*+:[ \t\r\n]*+(?=\[)").match
_integer = re.compile(rb"-?[0-9]{1,20}+").fullmatch

# Stands for a list; nobody who writes a body knows it.
_STAND_IN: Final = secrets.token_hex(16)

LIST: Final = object()
"""Stands for the list in what `outline_around` returns."""

_QUOTE, _COMMA = b'",'
_OBJECT, _LIST = b"{["
_ENDS: Final = b"]}"

_TYPE_NAMES: Final[dict[type, str]] = {list: "a list", dict: "an object"}


def find_list(body: bytes, kept: str) -> tuple[int, int] | None:
    """Find the first list of numbers that may be the value of a member of a name.

    A list of numbers ends before the next string and the next end of an object.

    Args:
        body: The whole body.
        kept: The name of the member.

    Returns:
        Where it begins and ends, if it is one; see `outline_around`.
    """
    name = b'"%b"' % kept.encode()
    place = -1
    for _ in range(_MOST_PLACES):
        place = body.find(name, place + 1)
        if place < 0:
            return None
        found = _list_after(body, place + len(name))
        if found:
            start = found.end()
            end = body.find(b"}", start)
            quote = body.find(b'"', start, end)
            stop = body.rfind(b"]", start, end if quote < 0 else quote) + 1
            return (start, stop) if end > 0 and stop > start else None
    return None


def outline_around(before: bytes, after: bytes, kept: str) -> dict[str, Any] | None:
    """Parse what stands around a list, if that can be verified.

    A string is put in the place of the list that is nowhere else. So the member that
    has it for its value had the list, and the list was not inside a string.

    Args:
        before: What is before the list; the whole body where there is none.
        after: What is behind it; empty where there is none.
        kept: The name of the member that has it.

    Returns:
        The fields, where the member that had the list has `LIST`. None if the body
        could not be verified: it may have an error or not.
    """
    if len(before) + len(after) > _AROUND_BYTES:
        return None
    if not after:
        found = _without_duplicates(before)
        return found and found[0]
    found = _without_duplicates(b'%b"%b"%b' % (before, _STAND_IN.encode(), after))
    if found is None:
        return None
    document, objects = found
    for each in objects:
        if each.get(kept) == _STAND_IN:
            each[kept] = LIST
            return document
    return None


def _without_duplicates(body: bytes) -> tuple[dict[str, Any], list[Any]] | None:
    """Parse a body; None if it may have duplicate keys.

    Returns:
        The outermost object; and all objects, also those in lists of objects.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if type(document) is not dict:
        return None
    objects = [document]
    for each in objects:  # which grows meanwhile
        for value in each.values():
            if type(value) is dict:
                objects.append(value)
            elif type(value) is list and value and type(value[0]) is dict:
                objects += [part for part in value if type(part) is dict]
    return (document, objects) if has_no_duplicates(body, objects) else None


def outline_strictly(
    body: bytes, kept: str, known: Collection[str], check: Check
) -> dict[str, Any]:
    """Read the outline of a body whose top level must be an object.

    Args:
        body: The whole body.
        kept: The name of the members whose lists stay text.
        known: The names of members whose values are looked at, beside `kept`.
        check: Called again and again; it may raise, and so end the work.

    Returns:
        The fields that are known. Their lists and objects are Python's, but those of
        members that are not known are a `JsonText`, as those of `kept` are. Scalars are
        as `scalar` returns them, but integers of known members are integers.

    Raises:
        ServiceError: `malformed_json`.
        ElementError: `too_many_elements` where known members are too long.
    """
    names = frozenset(known)
    outline = _Outline(body, kept, names, check)
    return {
        member.name: outline.value(member.start, _MOST_DEPTH)
        for member in read_members(body, check, names)
        if member.name in names
    }


class _Outline:
    """What is read of a text that was found to be JSON.

    Args:
        body: The text.
        kept: The name of the members whose lists stay text.
        known: The names of members whose values are looked at.
        check: Called for each list or object that stays text.
    """

    def __init__(
        self, body: bytes, kept: str, known: Collection[str], check: Check
    ) -> None:
        # The text is read up to here.
        self._position = 0
        self._body = body
        self._kept = kept
        self._known = known
        self._check = check
        self._room = _OUTLINE_BYTES

    def value(self, position: int, depth: int) -> Any:
        """Read the value that begins at a position, and so many levels of it."""
        self._position = position
        return self._value(depth)

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._has_next():
            name = self._string()
            colon = past_space(self._body, self._position)
            self._position = past_space(self._body, colon + 1)
            is_known = name in self._known
            found[name] = self._value(depth - 1) if is_known else self._passed()
        return found

    def _list(self, depth: int) -> list[Any]:
        found: list[Any] = []
        while self._has_next():
            found.append(self._value(depth - 1))
        return found

    def _has_next(self) -> bool:
        """Go to the next element, or past the end of the list or object."""
        body = self._body
        position = past_space(body, self._position)
        if body[position] == _COMMA:
            position = past_space(body, position + 1)
            self._spend(1)
        self._position = position
        if body[position] in _ENDS:
            self._position += 1
            return False
        return True

    def _value(self, depth: int) -> Any:
        """Read the value at the position."""
        body, start = self._body, self._position
        first = body[start]
        if first == _QUOTE:
            return self._string()
        if first in (_OBJECT, _LIST):
            if not depth:
                return self._passed()
            self._spend(1)
            self._position += 1
            return (self._object if first == _OBJECT else self._list)(depth)
        self._position = value_end(body, start)
        self._spend(self._position - start)
        token = body[start : self._position]
        return int(token) if _integer(token) else value_at(body, start)

    def _string(self) -> str:
        start = self._position
        self._position = string_end(self._body, start)
        self._spend(self._position - start)
        text: str = json.loads(self._body[start : self._position])
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise malformed("a string has half of a surrogate pair")
        return text

    def _passed(self) -> Any:
        """Go past the value at the position, and return what `value_at` does."""
        start = self._position
        self._spend(1)
        value = value_at(self._body, start)
        self._position = skip_value(self._body, start, self._check)
        if isinstance(value, JsonText):
            return JsonText(self._body, start, self._position)
        return value

    def _spend(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise ElementError(
                "too_many_elements",
                pointer=None,
                expected=f"at most {_OUTLINE_BYTES} bytes of JSON beside {self._kept}",
                got="more",
            )


def outline_type_name(value: Any) -> str:
    """Name the type of a value of an outline, without showing or counting it."""
    if isinstance(value, JsonText):
        return "a list" if value.is_list else "an object"
    return _TYPE_NAMES.get(type(value)) or json_type_name(value)
