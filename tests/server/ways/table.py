"""The ways, and what of an answer each may change: nothing else, and why that.

A way takes a message and writes the same request otherwise, so that the server reads it
in another way. Several may be taken one after the other.
"""

import gzip
import re
import zlib
from collections.abc import Callable, Mapping
from random import Random
from typing import Final, NamedTuple

from tests.server.ways.messages import Message

# Longer bodies are not read before the application asks for them.
LONG_BYTES: Final = 2**18
LONG_REST: Final = 2**16
"""If more of a body is to come behind an answer, the connection may end."""

# More than 256 lines are refused.
_MOST_LINES: Final = 100
DEFAULT_MODEL: Final = b"breast-cancer"

Write = Callable[[Message, Random], Message | None]
"""Writes a message otherwise; None where that is no way for it."""


class Way(NamedTuple):
    """How a request is sent, and what that changes; each change has its reason.

    Attributes:
        write: Writes the message.
        closes: Why the connection ends after the answer, where it else would go on.
        may_close: Why it may end so, if the answer comes before the body was read.
        may_say: Why the answer may say either, that it ends or that it goes on.
        routes: The route that is counted and logged, by that of the message.
        waits: Why the stage `queue` may be counted, where it else would not.
        shifts: Why a syntax error may be another, or at another column.
    """

    write: Write
    closes: str = ""
    may_close: str = ""
    may_say: str = ""
    routes: Mapping[str, str] = {}
    waits: str = ""
    shifts: str = ""

    @property
    def may_end(self) -> bool:
        """Whether no other request may follow on the connection."""
        return bool(self.closes or self.may_close or self.may_say)


def _is_whole(message: Message) -> bool:
    """Tell whether the message is still short, and its length declared."""
    return message.chunks is None and message.number == b"1.1" and not message.waits


def _is_plain_post(message: Message) -> bool:
    """Tell whether there is a body that can be written otherwise."""
    return (
        _is_whole(message)
        and message.method == b"POST"
        and not message.values(b"content-encoding")
        and len(message.body or b"") < LONG_BYTES // 4
    )


def _long(message: Message, random: Random) -> Message | None:
    body = message.body
    if not (_is_plain_post(message) and body and _is_json(message)):
        return None
    # Line ends would move errors to other lines.
    space = random.choice((b" ", b"\t"))
    return message._replace(body=body + space * (LONG_BYTES + random.randrange(9)))


def _is_json(message: Message) -> bool:
    types = message.values(b"content-type")
    return not types or all(b"json" in each.lower() for each in types)


def _chunked(message: Message, random: Random) -> Message | None:
    if not _is_whole(message) or message.body is None:
        return None
    left = len(message.body)
    chunks: list[int] = []
    most = random.choice((1, 7, 100, 4000, 10**6))
    while left > 0:
        length = random.randint(1, most) if len(chunks) < 50 else left
        chunks.append(length)
        left -= length
    extension = random.choice((b"", b"", b"", b";a=b", b';a="b c"'))
    return message._replace(chunks=tuple(chunks), extension=extension)


def _trailed(message: Message, random: Random) -> Message | None:
    chunked = _chunked(message, random)
    return chunked and chunked._replace(trailer=b"X-Sum: 1\r\n")


def _expecting(message: Message, random: Random) -> Message | None:
    if not (_is_whole(message) and message.body):
        return None
    value = random.choice((b"100-continue", b"100-Continue"))
    waits = random.random() < 0.5 and not (message.stops or message.cuts)
    return message.with_lines((b"Expect", value))._replace(waits=waits)


def _empty_query(message: Message, random: Random) -> Message | None:
    return None if message.query else message._replace(query=b"?")


def _default_query(message: Message, random: Random) -> Message | None:
    if message.query or not message.path.endswith(b"/predict"):
        return None
    query = random.choice((b"?output=probabilities", b"?output=prob%61bilities"))
    return message._replace(query=query)


def _escaped(message: Message, random: Random) -> Message | None:
    places = [
        place
        for place, byte in enumerate(message.path)
        if chr(byte).isalnum() and b"%" not in message.path[max(0, place - 2) : place]
    ]
    if not places:
        return None
    chosen = set(random.sample(places, random.randint(1, min(3, len(places)))))
    form = random.choice((b"%%%02X", b"%%%02x"))
    path = b"".join(
        form % byte if place in chosen else bytes((byte,))
        for place, byte in enumerate(message.path)
    )
    return message._replace(path=path)


def _absolute(message: Message, random: Random) -> Message | None:
    return message._replace(origin=random.choice((b"http://x", b"http://X:80")))


def _odd_fields(message: Message, random: Random) -> Message | None:
    lines = list(message.lines)
    for number in range(random.choice((0, 1, 2, 40))):
        name = random.choice((b"X-%d" % number, b"Cookie", b"Via", b"Accept-Language"))
        lines.append((name, random.choice((b"", b"a=b", b"\xe9", b"de,en;q=0.5"))))
    # The order of equal names means something, that of others does not.
    names = sorted({name.lower() for name, _ in lines})
    random.shuffle(names)
    spell = random.choice((bytes.lower, bytes.upper, bytes.title, bytes.swapcase))
    spaced = random.choice((b"%b", b" %b", b"%b  ", b"\t%b\t"))
    ordered = [line for name in names for line in lines if line[0].lower() == name]
    opening = random.choice((b"", b"", b"\r\n"))
    return message._replace(
        lines=tuple((spell(name), spaced % value) for name, value in ordered),
        opening=opening,
    )


def _split_lists(message: Message, random: Random) -> Message | None:
    """Write a list as several lines (RFC 9110, section 5.3)."""
    lines = []
    for name, value in message.lines:
        parts = value.split(b",") if name.lower() == b"accept" else [value]
        lines += [(name, part.strip()) for part in parts]
    if not len(message.lines) < len(lines) < _MOST_LINES:
        return None
    return message._replace(lines=tuple(lines))


def _offering(message: Message, random: Random) -> Message | None:
    if message.values(b"connection"):
        return None
    offer = random.choice((b"h2c", b"websocket", b"TLS/1.0"))
    return message.with_lines((b"Connection", b"Upgrade"), (b"Upgrade", offer))


def _closing(message: Message, random: Random) -> Message | None:
    if message.values(b"connection"):
        return None
    return message.with_lines((b"Connection", random.choice((b"close", b"Close"))))


def _old(message: Message, random: Random) -> Message | None:
    if not _is_whole(message) or message.values(b"connection"):
        return None
    return message._replace(number=b"1.0")


def _old_kept(message: Message, random: Random) -> Message | None:
    old = _old(message, random)
    return old and old.with_lines((b"Connection", b"keep-alive"))


def _in_pieces(message: Message, random: Random) -> Message | None:
    if message.waits or message.stops:
        return None
    count = random.randint(1, 3)
    return message._replace(cuts=tuple(sorted(random.random() for _ in range(count))))


def _stopping(message: Message, random: Random) -> Message | None:
    if message.waits or message.cuts:
        return None
    return message._replace(stops=True)


def _compressed(message: Message, random: Random) -> Message | None:
    if not (_is_plain_post(message) and message.body):
        return None
    name, body = random.choice(
        (
            (b"gzip", gzip.compress(message.body, 1, mtime=0)),
            (b"X-GZIP", gzip.compress(message.body, 9, mtime=0)),
            (b"deflate", zlib.compress(message.body, 1)),
            (b"identity", message.body),
        )
    )
    return message._replace(body=body).with_lines((b"Content-Encoding", name))


def _named(message: Message, random: Random) -> Message | None:
    if message.path != b"/predict" or message.method != b"POST":
        return None
    return message._replace(path=b"/models/%b/predict" % DEFAULT_MODEL)


def _versioned(message: Message, random: Random) -> Message | None:
    # Others are not found, which the answer says, with the path.
    match = re.fullmatch(rb"(/models/[\w.-]{1,64})/predict", message.path)
    if message.method != b"POST" or not match:
        return None
    return message._replace(path=match[1] + b"/versions/1/predict")


def _pipelined(message: Message, random: Random) -> Message | None:
    """Others are sent before it and behind it, see `cases`."""
    return message


_UNREAD = (
    "an answer that comes before the body was read would have to wait for it, "
    "if the connection went on"
)
_BESIDE = "what takes long is done beside the event loop, when it is its turn there"
_NAMED, _NEWEST = "/predict", "/models/{name}/predict"

WAYS: Final[Mapping[str, Way]] = {
    "long": Way(
        _long,
        may_close=_UNREAD,
        waits=_BESIDE,
        shifts="where a body ends too early, it has spaces instead",
    ),
    "chunked": Way(_chunked, may_close=_UNREAD),
    "with a trailer": Way(_trailed, may_close=_UNREAD),
    "expecting 100": Way(_expecting, may_close=_UNREAD),
    "empty query": Way(_empty_query),
    "default query": Way(_default_query),
    "escaped path": Way(_escaped),
    "absolute target": Way(_absolute),
    "odd fields": Way(_odd_fields),
    "lists in lines": Way(_split_lists),
    "offering another protocol": Way(_offering),
    "pipelined": Way(_pipelined),
    "in pieces": Way(_in_pieces, may_close=_UNREAD),
    "closing": Way(_closing, closes="the client wants it"),
    "stopping": Way(_stopping, may_say="the end may be seen before or after"),
    "HTTP/1.0": Way(_old, closes="that version ends it, unless asked otherwise"),
    "HTTP/1.0, kept": Way(_old_kept),
    "compressed": Way(_compressed, waits=_BESIDE),
    # The same model, by another route: its name is that of the metrics and the log.
    "by name": Way(_named, routes={_NAMED: _NEWEST}),
    "by version": Way(
        _versioned, routes={_NEWEST: "/models/{name}/versions/{version}/predict"}
    ),
}
