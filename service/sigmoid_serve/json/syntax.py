"""Whether a text is JSON, from its bytes, without making anything of it.

The parsers that exist make a Python object of each value, which for hostile text takes
many times its size, and hold the interpreter until they are through. This one only
follows the text with regular expressions, a stretch at a time, so that others run
meanwhile. None of the expressions can go back on what it has read.

What is allowed is what the standard library's parser allows, with its three constants
`NaN`, `Infinity` and `-Infinity`; so are the sentences about what is not (RFC 8259).
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from sigmoid_serve.errors import ElementError, ServiceError
from sigmoid_serve.json import tokens
from sigmoid_serve.json.lookalikes import recognise

# Of a name; nobody has longer ones.
_MOST_NAME_BYTES: Final = 2**16

# An object of more members is none that is asked for, nor one so deep inside others.
_MOST_NAMES: Final = 2**16
_MOST_OBJECTS: Final = 1000

# So many members are told; a body with more has one that is not known.
_MOST_MEMBERS: Final = 16

_DECODED_BYTES: Final = 2**20

# So many names are looked through faster than a set is made.
_FEW: Final = 8


_OBJECT = b"{"[0]


class Member(NamedTuple):
    """A member of the outermost object: its name, and where its value stands."""

    name: str
    start: int
    stop: int


class _Mismatch(Exception):
    """Where a text is no JSON, and why."""

    def __init__(self, finding: str, position: int) -> None:
        super().__init__(finding)
        self.finding = finding
        self.position = position


def _not_json(body: bytes, finding: str) -> ServiceError:
    known = recognise(body)
    return malformed(f"it {known}" if known else finding)


def malformed(finding: str) -> ServiceError:
    """Make the error of a body that is not the JSON it should be."""
    return ServiceError("malformed_json", f"the body is not valid JSON: {finding}")


def read_members(body: bytes, check: Callable[[], None]) -> list[Member]:
    """Follow a body whose top level must be an object.

    Args:
        body: All of it.
        check: Called again and again; it may raise, and so end it.

    Returns:
        The first members, in their order; at least 16 of those that there are.

    Raises:
        ServiceError: `malformed_json`, or `rank` for objects nested beyond all measure.
    """
    _check_encoding(body, check)
    try:
        return _Follower(body, check).follow()
    except _Mismatch as error:
        position = error.position
        line = body.count(b"\n", 0, position) + 1
        column = len(body[body.rfind(b"\n", 0, position) + 1 : position].decode()) + 1
        place = f"(line {line}, column {column})"
        raise _not_json(body, f"{error.finding} {place}") from None


def _check_encoding(body: bytes, check: Callable[[], None]) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(body), _DECODED_BYTES):
        check()
        before = len(decoder.getstate()[0])
        stop = start + _DECODED_BYTES
        try:
            decoder.decode(body[start:stop], final=stop >= len(body))
        except UnicodeDecodeError as error:
            place = start - before + error.start
            raise _not_json(body, f"byte {place} is not UTF-8") from None


class _Follower:
    """Follows a text from one token to the next.

    Attributes:
        body: As given.
        position: Up to here it is JSON.
        stack: The lists and objects that are open, a byte for each.
        names: Of the members of each object that is open.
    """

    def __init__(self, body: bytes, check: Callable[[], None]) -> None:
        self.body = body
        self.position = 0
        self.stack = bytearray()
        self.names: list[list[str] | set[str]] = []
        self._check = check
        # Whether the list at hand has been opened and no more.
        self._is_new = False

    def follow(self) -> list[Member]:
        body = self.body
        start = _past_space(body, 0)
        if start == len(body):
            raise _Mismatch("the body is empty", len(body))
        members: list[Member] = []
        if body[start] == _OBJECT:
            self.position = start + 1
            for name in self._members():
                begin = _past_space(body, self.position)
                self._value()
                if len(members) < _MOST_MEMBERS:
                    members.append(Member(name, begin, self.position))
        else:
            self._value()
        rest = _past_space(body, self.position)
        if rest < len(body):
            raise _Mismatch("Extra data", rest)
        if body[start] != _OBJECT:
            raise malformed(
                'the top level must be an object, such as {"inputs": [0.5]}'
            )
        return members

    def _members(self) -> Iterator[str]:
        """Go from one value of the outermost object to the next."""
        names: set[str] = set()
        is_over = self._take(tokens.find_end)
        while not is_over:
            name = self._name()
            _add(names, name)
            yield name
            is_over = self._take(tokens.find_end)
            if not (is_over or self._take(tokens.find_comma)):
                raise self._not("Expecting ',' delimiter")

    def _take(self, find: tokens.Find) -> bool:
        found = find(self.body, self.position)
        if found:
            self.position = found.end()
        return found is not None

    def _value(self) -> None:
        """Go to the end of a value, whatever is in it."""
        body, stack = self.body, self.stack
        depth = len(stack)
        self._begin()
        steps = 0
        while len(stack) > depth:
            steps += 1
            if not steps & 255:
                self._check()
            if stack[-1] == _OBJECT:
                self._go_on_in_object()
                continue
            is_new, self._is_new = self._is_new, False
            found = (tokens.find_first if is_new else tokens.find_next)(
                body, self.position
            )
            if found is None:
                if not (is_new or self._take(tokens.find_comma)):
                    raise self._not("Expecting ',' delimiter")
                self._begin_string()
            elif found[4]:
                self._close(found)
            else:
                self._enter(found)

    def _not(self, finding: str) -> _Mismatch:
        return _Mismatch(finding, _past_space(self.body, self.position))

    def _begin(self) -> None:
        """Go past the value of a member, or into it."""
        found = tokens.find_item(self.body, self.position)
        if found:
            self._enter(found)
        else:
            self._begin_string()

    def _enter(self, found: re.Match[bytes]) -> None:
        """Go past some values, and into the list or the object behind them, if any."""
        self.position = found.end()
        opened = found[1] or found[2]
        if opened:
            self.stack += b"[" * opened.count(b"[")
            self._is_new = True
        elif found[3] and not self._take(tokens.find_end):
            self.stack.append(_OBJECT)
            self.names.append([])
            if len(self.names) > _MOST_OBJECTS:
                raise ElementError(
                    "rank",
                    pointer=None,
                    expected="lists nested at most 32 deep (SIGMOID_MAX_RANK)",
                    got=f"objects nested more than {_MOST_OBJECTS} deep",
                )

    def _begin_string(self) -> None:
        if not self._take(tokens.find_quote):
            raise self._not("Expecting value")
        self._end_string()

    def _close(self, found: re.Match[bytes]) -> None:
        """Go past the ends of lists, as far as lists are open."""
        closed = found[4].count(b"]")
        self.position = found.end()
        if not self.stack.endswith(b"[" * closed):
            closed = len(self.stack) - len(self.stack.rstrip(b"["))
            self.position -= len(found[4].split(b"]", closed)[-1])
        del self.stack[-closed:]

    def _go_on_in_object(self) -> None:
        names = self.names[-1]
        if not names or self._take(tokens.find_comma):
            self._begin_member(names)
        elif self._take(tokens.find_end):
            self.stack.pop()
            self.names.pop()
        else:
            raise self._not("Expecting ',' delimiter")

    def _begin_member(self, names: list[str] | set[str]) -> None:
        name = self._name()
        if isinstance(names, set):
            _add(names, name)
        elif name in names:
            raise _duplicate()
        else:
            names.append(name)
            if len(names) > _FEW:
                self.names[-1] = set(names)
        self._begin()

    def _name(self) -> str:
        """Go past the name of a member, and the colon."""
        found = tokens.find_member(self.body, self.position)
        if found:
            self.position = found.end()
            return found[1].decode()
        if not self._take(tokens.find_quote):
            finding = "Expecting property name enclosed in double quotes"
            raise self._not(finding)
        start = self.position - 1
        self._end_string()
        if self.position - start > _MOST_NAME_BYTES:
            raise malformed(f"a key is longer than {_MOST_NAME_BYTES} bytes")
        name: str = json.loads(self.body[start : self.position])
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise malformed("a key has half of a surrogate pair")
        if not self._take(tokens.find_colon):
            raise self._not("Expecting ':' delimiter")
        return name

    def _end_string(self) -> None:
        """Go past the end of the string in which the position is."""
        body, start = self.body, self.position
        while True:
            found = tokens.find_string(body, self.position)
            if found is None or found.end() == self.position:
                break
            self.position = found.end()
            self._check()
        after = body[self.position : self.position + 1]
        if after == b'"':
            self.position += 1
        elif after == b"\\" and self.position + 1 < len(body):
            if body[self.position + 1 : self.position + 2] == b"u":
                raise _Mismatch("Invalid \\uXXXX escape", self.position + 1)
            raise _Mismatch("Invalid \\escape", self.position)
        elif after and after != b"\\":
            raise _Mismatch("Invalid control character at", self.position)
        else:
            raise _Mismatch("Unterminated string starting at", start - 1)


def _add(names: set[str], name: str) -> None:
    if name in names:
        raise _duplicate()
    names.add(name)
    if len(names) > _MOST_NAMES:
        raise malformed(f"an object has more than {_MOST_NAMES} members")


def _duplicate() -> ServiceError:
    return malformed("an object has the same key twice")


def _past_space(body: bytes, position: int) -> int:
    found = tokens.find_space(body, position)
    return found.end() if found else position
