"""A scanner of JSON: it follows a text from token to token and makes nothing of it.

It reads with the regular expressions of `tokens`, a stretch at a time, so that other
threads run meanwhile. None of the expressions goes back on what it has read.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator
from typing import Final, NamedTuple

from sigmoid_serve.errors import ElementError, ServiceError
from sigmoid_serve.json import tokens
from sigmoid_serve.json.syntax_errors import SyntaxMismatch, malformed

# The longest name of a member.
_MOST_NAME_BYTES: Final = 2**16

# No request has an object of more members, or objects nested deeper.
_MOST_NAMES: Final = 2**16
_MOST_OBJECTS: Final = 1000

# Members that are returned, beside those that are known.
_MOST_MEMBERS: Final = 16

# Up to so many names, to search a list is faster than to make a set.
_FEW: Final = 8

_OBJECT = b"{"[0]


class Member(NamedTuple):
    """A member of the outermost object: its name, and where its value stands."""

    name: str
    start: int
    stop: int


class Scanner:
    """Follows a text from one token to the next.

    Args:
        body: The text, in UTF-8.
        check: Called again and again; it may raise, and so end the scan.
        known: Names of members that are returned wherever they stand.

    Attributes:
        body: The text.
        position: The text is JSON up to here.
        stack: The lists and objects that are open, a byte for each.
        names: For each open object but the outermost, its member names so far.
    """

    def __init__(
        self, body: bytes, check: Callable[[], None], known: Collection[str] = ()
    ) -> None:
        self.body = body
        self.position = 0
        self.stack = bytearray()
        self.names: list[list[str] | set[str]] = []
        self._check = check
        self._known = known
        # Whether the innermost list was opened just now, so that it may be empty.
        self._is_new = False

    def scan(self) -> list[Member]:
        """Go to the end of the text, whose top level must be an object.

        Returns:
            The first members, in their order; at least 16 of those that there are.

        Raises:
            SyntaxMismatch: The text is not JSON.
            ServiceError: `malformed_json` for JSON that is not taken: a duplicate key,
                a key that is too long, another top level; `rank` for objects nested
                beyond all measure.
        """
        body = self.body
        start = _past_space(body, 0)
        if start == len(body):
            raise SyntaxMismatch("the body is empty", len(body))
        members: list[Member] = []
        if body[start] == _OBJECT:
            self.position = start + 1
            for name in self._members():
                begin = _past_space(body, self.position)
                self.skip()
                if len(members) < _MOST_MEMBERS or name in self._known:
                    members.append(Member(name, begin, self.position))
        else:
            self.skip()
        rest = _past_space(body, self.position)
        if rest < len(body):
            raise SyntaxMismatch("Extra data", rest)
        if body[start] != _OBJECT:
            raise malformed('the top level must be an object, such as {"inputs": […]}')
        return members

    def _members(self) -> Iterator[str]:
        """Yield each member name of the outermost object, the position at its value."""
        names: set[str] = set()
        is_over = self._take(tokens.find_end)
        while not is_over:
            name = self._name()
            _add(names, name)
            yield name
            is_over = self._take(tokens.find_end)
            if not (is_over or self._take(tokens.find_comma)):
                raise self._mismatch("Expecting ',' delimiter")

    def _take(self, find: tokens.Find) -> bool:
        found = find(self.body, self.position)
        if found:
            self.position = found.end()
        return found is not None

    def skip(self) -> None:
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
                    raise self._mismatch("Expecting ',' delimiter")
                self._begin_string()
            elif found[4]:
                self._close(found)
            else:
                self._enter(found)

    def _mismatch(self, reason: str) -> SyntaxMismatch:
        return SyntaxMismatch(reason, _past_space(self.body, self.position))

    def _begin(self) -> None:
        """Go past the value of a member, or into it."""
        found = tokens.find_item(self.body, self.position)
        if found:
            self._enter(found)
        else:
            self._begin_string()

    def _enter(self, found: re.Match[bytes]) -> None:
        """Go past some values, and into the list or object behind them, if any."""
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
            raise self._mismatch("Expecting value")
        self._end_string()

    def _close(self, found: re.Match[bytes]) -> None:
        """Go past the ends of lists, no more than are open."""
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
            raise self._mismatch("Expecting ',' delimiter")

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
            reason = "Expecting property name enclosed in double quotes"
            raise self._mismatch(reason)
        start = self.position - 1
        self._end_string()
        if self.position - start > _MOST_NAME_BYTES:
            raise malformed(f"a key is longer than {_MOST_NAME_BYTES} bytes")
        name: str = json.loads(self.body[start : self.position])
        if any("\ud800" <= character <= "\udfff" for character in name):
            raise malformed("a key has half of a surrogate pair")
        if not self._take(tokens.find_colon):
            raise self._mismatch("Expecting ':' delimiter")
        return name

    def _end_string(self) -> None:
        """Go past the end of the string that the position is in."""
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
                raise SyntaxMismatch("Invalid \\uXXXX escape", self.position + 1)
            raise SyntaxMismatch("Invalid \\escape", self.position)
        elif after and after != b"\\":
            raise SyntaxMismatch("Invalid control character at", self.position)
        else:
            raise SyntaxMismatch("Unterminated string starting at", start - 1)


def skip_value(body: bytes, position: int, check: Callable[[], None]) -> int:
    """Return the end of the value that begins at a position of a text that is JSON.

    Args:
        body: The text.
        position: Where the value begins.
        check: Called again and again; it may raise, and so end the scan.
    """
    scanner = Scanner(body, check)
    scanner.position = position
    scanner.skip()
    return scanner.position


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
