"""How a body goes over the wire: where to, compressed, in chunks."""

import gzip
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from fuzzing.cost.bad_json import BAD_JSON
from fuzzing.cost.good_json import GOOD_JSON
from fuzzing.cost.json_text import LONGEST, Builders, Payload
from fuzzing.cost.npy_bodies import NPY
from fuzzing.cost.space import Kind, Parameters, Request, Span, Values

BODIES: Final[Builders] = {**GOOD_JSON, **BAD_JSON, **NPY}

PATHS: Final = (
    "/sigmoid",
    "/predict",
    "/models/digits/predict",
    "/models/breast-cancer/versions/1/predict",
)
_ACCEPTS: Final = ("*/*", "application/json", "application/x-npy")


def _members(body: bytes) -> bytes:
    """Compress it in very many members."""
    step = max(1, len(body) // 2**12)
    parts = (body[at : at + step] for at in range(0, len(body), step))
    return b"".join(gzip.compress(part, 1, mtime=0) for part in parts)


_CODINGS: Final[Mapping[str, tuple[str, Callable[[bytes], bytes]]]] = {
    "gzip": ("gzip", lambda body: gzip.compress(body, 6, mtime=0)),
    "deflate": ("deflate", lambda body: zlib.compress(body, 6)),
    "twice": ("gzip, gzip", lambda b: gzip.compress(gzip.compress(b, 6, mtime=0))),
    "members": ("gzip", _members),
    "empties": (
        "gzip",
        lambda b: gzip.compress(b"", 1, mtime=0) * 2**15 + gzip.compress(b, 1, mtime=0),
    ),
    "zeros": ("gzip", lambda b: gzip.compress(b, 6, mtime=0) + bytes(2**20)),
    "stored": ("gzip", lambda b: gzip.compress(b, 0, mtime=0)),
    "half": ("gzip", lambda b: gzip.compress(b, 6, mtime=0)[:-9]),
}
_FRAMES: Final = Span(1, 2**14, 2**14)
_COMMON: Final[Parameters] = {"path": PATHS, "accept": _ACCEPTS}


def post(values: Values, payload: Payload) -> Request:
    """Make the request of a body, as it is."""
    return _framed(values, payload.media, (), payload.body, len(payload.body))


def _framed(
    values: Values, media: str, fields: tuple[str, ...], body: bytes, inflated: int
) -> Request:
    lines = [
        f"POST {values['path']} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {media}",
        f"Accept: {values.get('accept', '*/*')}",
        f"Content-Length: {len(body)}",
        *fields,
    ]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return Request(head + body, len(head) + max(len(body), inflated))


def compressed(values: Values, payload: Payload) -> Request:
    """Make the request of a body, compressed."""
    name, compress = _CODINGS[str(values["coding"])]
    field = (f"Content-Encoding: {name}",)
    body = compress(payload.body)
    return _framed(values, payload.media, field, body, len(payload.body))


def chunked(values: Values, payload: Payload) -> Request:
    """Make the request of a body in chunks, with extensions and trailers."""
    size = int(values["chunk"])
    body = payload.body[: max(size, LONGEST // 16)]
    extension = (
        b";" + b"a" * int(values["extension"]) if values["odd"] == "yes" else b""
    )
    parts = [
        b"%x%b\r\n%b\r\n" % (len(part), extension, part)
        for part in (body[at : at + size] for at in range(0, len(body), size))
    ]
    trailer = b"X-%b: %b\r\n" % (b"a", b"b" * int(values["length"]))
    trailers = trailer * min(int(values["trailers"]) - 1, 2**24 // len(trailer))
    lines = [
        f"POST {values['path']} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {payload.media}",
        "Transfer-Encoding: chunked",
    ]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    message = head + b"".join(parts)[:LONGEST] + b"0\r\n" + trailers + b"\r\n"
    return Request(message, len(message))


def body_kinds() -> list[Kind]:
    """List the kinds that differ in their bodies, then the same, compressed."""
    coding: Parameters = {"coding": list(_CODINGS)}
    return [
        *(_kind(name, post, {}) for name in BODIES),
        *(_kind(name, compressed, coding, "compressed ") for name in BODIES),
    ]


def _kind(
    name: str,
    frame: Callable[[Values, Payload], Request],
    more: Parameters,
    prefix: str = "",
) -> Kind:
    parameters, build = BODIES[name]
    own = {**parameters, **_COMMON, **more}
    return Kind(f"{prefix}{name}", own, lambda values: frame(values, build(values)))


def chunked_kind() -> Kind:
    """Describe bodies in chunks."""
    parameters, build = BODIES["json, dense"]
    own: Parameters = {
        **parameters,
        "path": PATHS,
        "chunk": _FRAMES,
        "odd": ("yes", "no"),
        "extension": Span(1, 2**16, 64),
        "trailers": Span(1, 2**20, 100),
        "length": Span(1, 2**16, 100),
    }
    return Kind("chunks", own, lambda values: chunked(values, build(values)))
