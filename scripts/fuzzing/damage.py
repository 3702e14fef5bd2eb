"""Damage to bytes of any kind, and to the text of JSON."""

import re
from collections.abc import Callable
from random import Random
from typing import Final

Damage = Callable[[Random, bytes], bytes]

TOKENS: Final = (
    *(b"true", b"false", b"null", b"NaN", b"Infinity", b"-Infinity", b"1e999"),
    *(b"[", b"]", b",", b":", b"{", b"}", b'"', b"[]", b"{}", b"[[]]", b"-", b"\\"),
    *(b'{"inputs":', b'"inputs":1,', b'"batch":[],', b'"dtype":"float16",'),
    *(b'"dtype":null,', b'"\\ud800"', b'"\\u0000":', b'"x":{"y":[1]},', b'"1"'),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\xa0"),
    *(b"01", b"1.", b".5", b"+1", b"0x1", b"1_0", b"1e", b"--1", b"/**/", b"//", b"'"),
    b'"' + b"long " * 60 + b'":0,',
    '"é漢😀":1,'.encode(),
)
# At the edges of the types: what is halfway to the next number that they cannot hold.
NUMBERS: Final = (
    *(b"1e400", b"-1e309", b"1.7976931348623157e308", b"1.7976931348623159e308"),
    *(b"65504", b"65519.99999999999", b"65520", b"-65520.0", b"1e5"),
    *(b"3.4028235677973366e38", b"3.4028235677973362e38", b"-3.4028234664e38"),
    *(b"3.3961775292304601e38", b"3.3961775292304597e38", b"1e39"),
    *(b"9" * 309, b"9" * 5000, b"0." + b"9" * 5000, b"1" + b"0" * 308),
    *(b"18446744073709551616", b"-9223372036854775809", b"9007199254740993"),
    *(b"1e-99999999999999999999", b"1e99999999999999999999", b"0e99999999999"),
    *(b"-0", b"-0e0", b"5e-324", b"2.4703282292062327e-324", b"true", b"null", b"[]"),
)
_DEPTHS: Final = (1, 1, 2, 31, 32, 33, 64, 65, 300, 900, 1100, 5000, 100_000)
_NUMBER: Final = re.compile(rb"-?\d[\d.eE+-]*")
_ELEMENT: Final = re.compile(_NUMBER.pattern + rb"\s*,")
_STRING: Final = re.compile(rb'"[^"]*"')
_STRINGS: Final = (
    *(b'"inputs"', b'"batch"', b'"dtype"', b'"float16"', b'"bfloat16"', b'"float32"'),
    *(
        b'"float64"',
        b'"float8"',
        b'"FLOAT32"',
        b'"\\u0062atch"',
        b'"\\ud83d"',
        b'""',
        b"1",
    ),
)
_TOKEN: Final = re.compile(rb"[\[\]{},:]|\"\w*\"")


def damage_bytes(random: Random, body: bytes) -> bytes:
    """Do one to five things to bytes that any file may suffer."""
    return _damaged(random, body, _ANY)


def damage_json(random: Random, body: bytes) -> bytes:
    """Do one to five things to the text of JSON; often none that breaks it."""
    ways = _GENTLE if random.random() < 0.5 else _ANY + _TEXT
    return _damaged(random, body, ways)


def _damaged(random: Random, body: bytes, ways: tuple[Damage, ...]) -> bytes:
    for _ in range(random.choice((1, 1, 1, 1, 2, 3, 5))):
        body = random.choice(ways)(random, body)
    return body


def _flip(random: Random, body: bytes) -> bytes:
    at = _place(random, body)
    return (
        body[:at]
        + bytes(b ^ 1 << random.randrange(8) for b in body[at : at + 1])
        + (body[at + 1 :])
    )


def _delete(random: Random, body: bytes) -> bytes:
    at = _place(random, body)
    return body[:at] + body[at + random.choice((1, 1, 1, 2, 4, 16)) :]


def _insert(random: Random, body: bytes) -> bytes:
    return _put(body, _place(random, body), random.randbytes(random.choice((1, 2, 8))))


def _double(random: Random, body: bytes) -> bytes:
    at = _place(random, body)
    return _put(body, at, body[at : at + random.choice((1, 2, 8, 40, 200))])


def _truncate(random: Random, body: bytes) -> bytes:
    return body[: _place(random, body)]


def _insert_token(random: Random, body: bytes) -> bytes:
    return _put(body, _place(random, body), random.choice(TOKENS))


def _replace_token(random: Random, body: bytes) -> bytes:
    return _replaced(random, body, _TOKEN, random.choice(TOKENS))


def _replace_number(random: Random, body: bytes) -> bytes:
    return _replaced(random, body, _NUMBER, random.choice(NUMBERS))


def _insert_element(random: Random, body: bytes) -> bytes:
    found = _NUMBER.search(body, _place(random, body)) or _NUMBER.search(body)
    return _put(body, found.start(), random.choice(NUMBERS) + b",") if found else body


def _delete_element(random: Random, body: bytes) -> bytes:
    return _replaced(random, body, _ELEMENT, b"")


def _replace_string(random: Random, body: bytes) -> bytes:
    return _replaced(random, body, _STRING, random.choice(_STRINGS))


def _repeat_member(random: Random, body: bytes) -> bytes:
    start = body.find(b"{") + 1
    return _put(body, start, random.choice((b'"inputs":1,', b'"batch":[],', b'"a":0,')))


def _mark(random: Random, body: bytes) -> bytes:
    return random.choice((b"\xef\xbb\xbf", b" " * 5000, b"\x0b", b"\xff\xfe")) + body


def _nest(random: Random, body: bytes) -> bytes:
    """Put a number, or the whole array, into many lists or objects."""
    depth = random.choice(_DEPTHS)
    found = _NUMBER.search(body, _place(random, body)) or _NUMBER.search(body)
    start, stop = found.span() if found else (0, 0)
    if random.random() < 0.5:
        start, stop = body.find(b"["), body.rfind(b"]") + 1
    if start < 0 or (depth > 1100 and random.random() < 0.9):
        return body
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"[", b"")))
    return b"".join(
        (body[:start], opening * depth, body[start:stop], closing * depth, body[stop:])
    )


_ANY: Final[tuple[Damage, ...]] = (_flip, _delete, _insert, _double, _truncate)
_GENTLE: Final[tuple[Damage, ...]] = (
    *(_replace_number, _replace_number, _insert_element, _delete_element),
    *(_replace_string, _nest),
)
_TEXT: Final[tuple[Damage, ...]] = (
    *(_insert_token, _replace_token, _replace_token, _nest),
    *(_replace_number, _repeat_member, _mark),
)


def _place(random: Random, body: bytes) -> int:
    return int(random.random() * (len(body) + 1))


def _put(body: bytes, at: int, piece: bytes) -> bytes:
    return body[:at] + piece + body[at:]


def _replaced(
    random: Random, body: bytes, pattern: re.Pattern[bytes], piece: bytes
) -> bytes:
    found = pattern.search(body, _place(random, body)) or pattern.search(body)
    if found is None:
        return body
    return body[: found.start()] + piece + body[found.end() :]
