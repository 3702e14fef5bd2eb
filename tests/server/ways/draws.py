"""Requests of all kinds, each in the plainest form."""

from collections.abc import Sequence
from random import Random
from typing import Final

from fuzzing.json_bodies import Good, Model
from fuzzing.requests import GOOD, draw_request
from tests.server.ways.messages import Lines, Message
from tests.server.ways.table import LONG_REST

KEY: Final = b"key-of-alice"
ORIGIN: Final = b"https://a.example"

MOST_BODY_BYTES: Final = 400_000

_PATHS: Final = (
    *(b"/models/nothing/predict", b"/models/breast-cancer/versions/1/predict"),
    *(b"/models/digits/versions/2/predict", b"/models/digits/versions/x/predict"),
    *(b"/models/a%2Fb/predict", b"/models/a%0Ab/predict", b"/models//predict"),
    *(b"/sigmoid/", b"/Sigmoid", b"/predict/", b"//predict", b"/sigmoid%00"),
    *(b"/models/digits", b"/models", b"/nothing", b"/", b"/readyz"),
    *(b"/models/nothing/reload", b"/models/digits/predict%0A", b"/%FF"),
    b"/models/" + b"a" * 64 + b"/predict",
    b"/models/" + b"a" * 65 + b"/predict",
)
_QUERIES: Final = (b"?output=logits", b"?output=x", b"?x=1", b"?output=", b"?&&=")
_METHODS: Final = (b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"QUERY")
_IDS: Final = (b"", b"a b", b"\xe9", b"<script>", b"a" * 129, b"../../etc", b"a,b")
_KEYS: Final = (
    *(b"Bearer other", b"Basic a2V5", b"Bearer", b"Bearer key", b"key", b"", b"\xe9"),
    b"Bearer " + KEY + b", Bearer " + KEY,
)
_ORIGINS: Final = (ORIGIN, ORIGIN, b"https://evil.example", b"null", b"", b"\xe9")
_STRAY: Final = (
    (b"Authorization", b"Bearer stray"),
    (b"Origin", b"https://stray.example"),
    (b"Accept", b"application/x-npy"),
    (b"Accept", b"text/html"),
    (b"Accept", b"*/*;q=0"),
    (b"Accept", b"application/x-npy;q=0, application/*;q=0.5"),
    (b"Content-Type", b"application/x-npy"),
    (b"Content-Type", b"text/plain"),
    (b"Content-Type", b"application/json;charset=latin-1"),
    (b"Content-Encoding", b"br"),
    (b"Content-Encoding", b"gzip, identity"),
    (b"If-None-Match", b"*"),
    (b"Range", b"bytes=0-1"),
    (b"X-Forwarded-For", b"1.2.3.4"),
)
_BODIES: Final = (
    *(b"", b" ", b"{}", b"[]", b"null", b"\xff", b'"', b'{"inputs":[NaN]}'),
    *(b'{"inputs":[1,true]}', b'{"inputs":[1,[2]]}', b'{"inputs":[1e999]}'),
    *(b'{"inputs":[1],"inputs":[1]}', b'{"inputs":[1],"batch":[]}'),
    *(b'{"inputs":[1],"x":2}', b'{"x":2}', b'{"inputs":null}', b'{"inputs":"a"}'),
    *(b'{"inputs":' + b"[" * n + b"1" + b"]" * n + b"}" for n in (32, 33, 40)),
    *(b'{"inputs":[' + b"1e300," * n + b"1]}" for n in (29, 63)),
    b'{"inputs":[' + b"0," * 5000 + b"0]}",
    b'{"inputs":[' + b"[]," * 600 + b"[]]}",
)


def request_of_any_kind(
    random: Random, models: Sequence[Model], protection: str, number: int
) -> Message:
    """Draw a request.

    Args:
        random: Draws.
        models: That may be asked.
        protection: What the server asks for: `keys`, `origins`, both, or neither.
        number: Of the request; part of its id, if it has one.
    """
    message = _draw_inference(random, models)
    if random.random() < 0.1:
        message = message._replace(path=random.choice(_PATHS))
    if random.random() < 0.08:
        message = message._replace(method=random.choice(_METHODS))
        if random.random() < 0.5:
            message = message._replace(body=None)
    if random.random() < 0.05:
        message = message._replace(query=random.choice(_QUERIES))
    if random.random() < 0.08:
        second = (b"X-Request-ID", b"Second-%d" % number)
        message = message.with_lines(random.choice((second, *_STRAY)))
    share = random.random()
    if share < 0.6:
        message = message.with_lines((b"X-Request-ID", b"Case-%d" % number))
    elif share < 0.7:
        message = message.with_lines((b"X-Request-ID", random.choice(_IDS)))
    message = message.with_lines(*_draw_protection(random, protection))
    if "origins" in protection and random.random() < 0.1:
        message = _draw_preflight(random, message)
    lines = list(message.lines)
    random.shuffle(lines)
    return message._replace(lines=tuple(lines))


def _draw_inference(random: Random, models: Sequence[Model]) -> Message:
    share = random.random()
    if share < 0.35:
        good = _draw_good(random, models)
        body, lines = good.body, [(b"Content-Type", _media_type(good))]
        if random.random() < 0.3 and good.media == "json":
            lines = []
        if good.fits_npy and random.random() < 0.2:
            lines.append((b"Accept", b"application/x-npy, */*;q=0.1"))
        return Message(b"POST", good.path.encode(), b"", tuple(lines), body)
    if share < 0.45:
        path = random.choice(("/sigmoid", "/predict", models[-1].path)).encode()
        body = random.choice(_BODIES)
        if random.random() < 0.02:
            body = b" " * (MOST_BODY_BYTES + 1)
        return Message(b"POST", path, b"", (), body)
    drawn = draw_request(random.getrandbits(64), 0, models)
    lines = [line for line in drawn.headers if line[0] != b"content-length"]
    query = b"?" + drawn.query if drawn.query else b""
    # What a field of HTTP cannot hold is not read by any way.
    query = bytes(byte for byte in query if 32 < byte < 127)
    return Message(b"POST", drawn.path.encode(), query, tuple(lines), drawn.body)


def _draw_good(random: Random, models: Sequence[Model]) -> Good:
    return GOOD[random.choice(list(GOOD))](random, models)


def _media_type(good: Good) -> bytes:
    return b"application/json" if good.media == "json" else b"application/x-npy"


def _draw_protection(random: Random, protection: str) -> Lines:
    lines = []
    if "keys" in protection:
        share = random.random()
        if share < 0.75:
            scheme = random.choice((b"Bearer", b"Bearer", b"bearer", b"BEARER"))
            lines.append((b"Authorization", scheme + b" " + KEY))
        elif share < 0.95:
            lines.append((b"Authorization", random.choice(_KEYS)))
    if "origins" in protection and random.random() < 0.5:
        lines.append((b"Origin", random.choice(_ORIGINS)))
    return tuple(lines)


def _draw_preflight(random: Random, message: Message) -> Message:
    method = random.choice((b"POST", b"GET", b"PUT", b""))
    message = message._replace(method=b"OPTIONS", body=None)
    if random.random() < 0.5:
        fields = random.choice((b"x-a", b"a,b", b""))
        message = message.with_lines((b"Access-Control-Request-Headers", fields))
    return message.with_lines((b"Access-Control-Request-Method", method))


def short_request(
    random: Random, models: Sequence[Model], protection: str, name: bytes
) -> Message:
    """Draw a request after whose answer the connection goes on.

    Args:
        random: Draws.
        models: That may be asked.
        protection: See `request_of_any_kind`.
        name: Its id.
    """
    lines = [(b"X-Request-ID", name)]
    if "keys" in protection:
        lines.append((b"Authorization", b"Bearer " + KEY))
    if random.random() < 0.2:
        return Message(b"GET", b"/models", b"", tuple(lines), None)
    good = _draw_good(random, models)
    while len(good.body) > LONG_REST:
        good = _draw_good(random, models)
    lines.append((b"Content-Type", _media_type(good)))
    chunks = random.choice((None, None, (len(good.body),)))
    query = random.choice((b"", b"", b"?"))
    path = good.path.encode()
    return Message(b"POST", path, query, tuple(lines), good.body, chunks=chunks)
