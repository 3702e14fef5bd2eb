"""Values in the text of a body, found by their positions.

Nothing here makes a Python object of a list or an object. The text must have been found
to be JSON (`sigmoid_serve.json.syntax`), unless a function says otherwise.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from sigmoid_serve.errors import shown
from sigmoid_serve.json.lookalikes import PROTOCOL, is_protocol_tensor

_marks = re.compile(rb'[\[\]{}"]').finditer
_string = re.compile(rb'(?:[^"\\]{1,64}+|\\.){0,4096}+', re.DOTALL).match
_scalar = re.compile(rb'[^\[\]{}",]*+').match
_space = re.compile(rb"[ \t\r\n]*+").match
_between = re.compile(rb"[ \t\r\n,]*+").match
_colon = re.compile(rb"[ \t\r\n]*+:[ \t\r\n]*+").match
_short_member = re.compile(
    rb'[ \t\r\n,]*+"([^"\\]{0,256}+)"[ \t\r\n]*+:[ \t\r\n]*+([^\[\]{}",]*+)'
).match

_QUOTE = b'"'[0]
_OPENS, _CLOSES = b"[{", b"]}"

# How many members of an object, and how many bytes of a string, are looked at.
_LOOKED_AT: Final = 64

SPACE: Final = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class JsonText:
    """A list or an object as text, which was not parsed: `body[start:stop]`."""

    body: bytes
    start: int
    stop: int

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return self.body[self.start] == _OPENS[0]

    @property
    def holds_objects(self) -> bool:
        """Whether it is a list whose first element is an object."""
        first = past_space(self.body, self.start + 1)
        return self.is_list and self.body[first : first + 1] == b"{"


@dataclass(frozen=True)
class Constant:
    """`NaN`, `Infinity` or `-Infinity`, which some encoders write as numbers."""

    name: str


_NAMED: Final[dict[bytes, Any]] = {
    b"true": True,
    b"false": False,
    b"null": None,
    **{name.encode(): Constant(name) for name in ("NaN", "Infinity", "-Infinity")},
}


def scalar(token: bytes) -> Any:
    """Return the value of a scalar that is no string.

    Returns:
        For a number the nearest float64, an infinity where it is too large; a boolean,
        None, or a `Constant`.
    """
    return _NAMED[token] if token in _NAMED else float(token)


def extend_pointer(pointer: str, *names: str | int) -> str:
    """Extend a JSON Pointer by member names or positions, escaped (RFC 6901)."""
    escaped = (shown(str(name)).replace("~", "~0").replace("/", "~1") for name in names)
    return "/".join((pointer, *escaped))


def json_type_name(value: Any) -> str:
    """Name the type of a JSON value for an error, without showing the value."""
    if isinstance(value, JsonText):
        if value.is_list:
            return f"a list of {list_length(value.body, value.start)}"
        names = [name for name, _ in islice(members(value), _LOOKED_AT)]
        return _object_name(names)
    if isinstance(value, Constant):
        return value.name
    if isinstance(value, float) and math.isinf(value):
        return "a number beyond the range of float64"
    return _TYPE_NAMES[type(value)]


def _object_name(names: Sequence[str]) -> str:
    if is_protocol_tensor(names):
        return f"an object of {PROTOCOL}, or here the data alone, as nested lists"
    return "an object"


_TYPE_NAMES: Final = {
    bool: "a boolean",
    float: "a number",
    int: "a number",
    str: "a string",
    type(None): "null",
}


def value_at(body: bytes, position: int) -> Any:
    """Return the value that begins at a position.

    Returns:
        A scalar as `scalar` returns it; a short string as it is, a long one as an empty
        string; a list or an object as a `JsonText` that goes on to the body's end.
    """
    first = body[position]
    if first in _OPENS:
        return JsonText(body, position, len(body))
    if first != _QUOTE:
        found = _scalar(body, position)
        return scalar(found[0].strip(SPACE) if found else b"")
    stop = string_end(body, position)
    return json.loads(body[position:stop]) if stop - position < _LOOKED_AT else ""


def string_end(body: bytes, position: int) -> int:
    """Return the end of the string that begins at a position."""
    position += 1
    while body[position] != _QUOTE:
        found = _string(body, position)
        position = found.end() if found else position
    return position + 1


def value_end(body: bytes, position: int) -> int:
    """Return the end of the value that begins at a position."""
    first = body[position]
    if first in _OPENS:
        return _rest(body, position + 1, 1)[1]
    if first == _QUOTE:
        return string_end(body, position)
    found = _scalar(body, position)
    return position + len(found[0].rstrip(SPACE)) if found else position


def past_space(body: bytes, position: int) -> int:
    """Return the position after white space."""
    found = _space(body, position)
    return found.end() if found else position


def list_length(body: bytes, position: int) -> int:
    """Count the elements of the list that begins at a position."""
    first = past_space(body, position + 1)
    if body[first] in _CLOSES:
        return 0
    return _rest(body, first, 1)[0][0] + 1


def count_rest(body: bytes, position: int, lists: int) -> list[int]:
    """Count the commas from a position to the ends of the lists around it.

    Args:
        body: The whole body.
        position: A position in the innermost list.
        lists: How many lists to follow to their ends.

    Returns:
        The number of commas that follow in each list, the innermost first.
    """
    return _rest(body, position, lists)[0]


def _rest(body: bytes, position: int, lists: int) -> tuple[list[int], int]:
    commas = [0] * lists
    current = 0
    depth = 0  # beyond the list at hand
    while True:
        for found in _marks(body, position):
            at = found.start()
            char = body[at]
            if not depth:
                commas[current] += body.count(b",", position, at)
            position = at + 1
            if char in _OPENS:
                depth += 1
            elif char == _QUOTE:
                position = string_end(body, at)
                break  # and go on behind it
            elif depth:
                depth -= 1
            else:
                current += 1
                if current == lists:
                    return commas, position


def members(text: JsonText) -> Iterator[tuple[str, Any]]:
    """Iterate over the members of an object, with values as `value_at` returns them."""
    body, position = text.body, text.start + 1
    while True:
        found = _short_member(body, position)
        if found and found[2]:
            position = found.end()
            yield found[1].decode(), scalar(found[2].strip(SPACE))
            continue
        between = _between(body, position)
        position = between.end() if between else position
        if body[position] in _CLOSES:
            return
        stop = string_end(body, position)
        name: str = json.loads(body[position:stop])
        colon = _colon(body, stop)
        position = colon.end() if colon else stop
        yield name, value_at(body, position)
        position = value_end(body, position)


def no_check() -> None:
    """Do nothing: a `Check` that never raises."""


Check = Callable[[], None]
"""Called again and again during long work; it may raise, and so end the work."""
