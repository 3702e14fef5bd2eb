"""Requests, each drawn from a seed and its index: good ones, and damage to them."""

import gzip
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

from fuzzing import json_bodies, npy_bodies
from fuzzing.damage import damage_bytes, damage_json
from fuzzing.json_bodies import Good, Media, Model

Headers = tuple[tuple[bytes, bytes], ...]


class Request(NamedTuple):
    """A POST.

    Attributes:
        kind: What it was made from, and whether it is as it was made.
        path: Where it goes.
        query: Without the question mark.
        headers: By names in lower case.
        body: Its bytes.
        reads: What a server must take the body for; None where the headers or the
            query are odd, too.
        answer: What its answer shall be written in.
        is_good: Whether it must be answered with 200.
    """

    kind: str
    path: str
    query: bytes
    headers: Headers
    body: bytes
    reads: Media | None
    answer: Media
    is_good: bool

    @property
    def content(self) -> bytes:
        """What is kept of it, where it is worth a look."""
        return self.body

    def shown(self) -> str:
        """Describe it without its body."""
        fields = "; ".join(
            f"{n.decode()}: {v.decode('latin-1')}" for n, v in self.headers
        )
        query = self.query.decode("latin-1")
        return ascii(f"POST {self.path}?{query[:40]} ({fields[:400]})")


GOOD: Final[Mapping[str, Callable[[Random, Sequence[Model]], Good]]] = {
    "tensor": json_bodies.sigmoid_tensor,
    "batch": json_bodies.sigmoid_batch,
    "rows": json_bodies.rows,
    "records": json_bodies.records,
    ".npy tensor": npy_bodies.sigmoid_npy,
    ".npy rows": npy_bodies.rows_npy,
}
_WEIGHTS: Final = (8, 3, 4, 2, 4, 2)

_INTACT_SHARE = 0.12
_ODD_HEADERS_SHARE = 0.08
_GZIP_SHARE = 0.02
_NOISE_SHARE = 0.02

_TYPES: Final[Mapping[Media, Sequence[bytes | None]]] = {
    "json": (
        None,
        b"application/json",
        b"application/json; charset=utf-8",
        b'APPLICATION/JSON ;charset="UTF-8"',
    ),
    "npy": (b"application/x-npy", b"Application/X-NPY"),
}
_ACCEPTS: Final[Mapping[Media, Sequence[bytes | None]]] = {
    "json": (None, None, b"*/*", b"application/json", b"text/html, */*;q=0.1"),
    "npy": (b"application/x-npy", b"application/json;q=0.5, application/x-npy"),
}
_ODD: Final[Sequence[tuple[bytes, Sequence[bytes]]]] = (
    (
        b"content-type",
        (
            *(b"", b";", b"text/plain", b"application/x-www-form-urlencoded", b"\xff"),
            *(
                b"application/json; charset=utf-16",
                b"application/json;charset",
                b"a/b" * 99,
            ),
            *(b"application/json", b"application/x-npy", b"multipart/form-data"),
        ),
    ),
    (
        b"accept",
        (
            *(b"", b",", b"text/html", b"*/*;q=0", b"*/*;q=nan", b"*/*;q=-1", b"\xff"),
            *(b"application/x-npy;q=1e999", b"application/json;q=" + b"9" * 400),
            *(b"application/json," * 300, b"application/x-npy", b";q=1"),
        ),
    ),
    (
        b"content-encoding",
        (
            b"gzip",
            b"identity",
            b"br",
            b"deflate",
            b"gzip, gzip",
            b"\xff",
            b"",
            b"x" * 999,
        ),
    ),
    (b"x-request-id", (b"", b"a b", b"\xff", b"x" * 129, b"../../etc", b"{}")),
    (b"content-length", (b"99999999999999999999", b"-1", b"", b"x", b"\xb2")),
)
_QUERIES: Final = (b"output=logits", b"output=probabilities")
_ODD_QUERIES: Final = (b"output=x", b"output=", b"x=1", b"%ff=%00", b"&&=", b"a" * 999)


def draw_request(seed: int, index: int, models: Sequence[Model]) -> Request:
    """Draw a request; the same for the same seed, index and models.

    Args:
        seed: Of the run.
        index: Of the request in the run.
        models: That may be asked.
    """
    random = Random((seed << 40) + index)
    (name,) = random.choices(list(GOOD), _WEIGHTS)
    good = GOOD[name](random, models)
    is_intact = random.random() < _INTACT_SHARE
    answer: Media = "npy" if good.fits_npy and random.random() < 0.2 else "json"
    query = b""
    if good.path != "/sigmoid" and random.random() < 0.3:
        query = random.choice(_QUERIES)
    request = Request(
        kind=f"{name}, {'intact' if is_intact else 'damaged'}",
        path=good.path,
        query=query,
        headers=_fields(
            (b"content-type", random.choice(_TYPES[good.media])),
            (b"accept", random.choice(_ACCEPTS[answer])),
        ),
        body=good.body,
        reads=good.media,
        answer=answer,
        is_good=is_intact,
    )
    return request if is_intact else _damaged(random, request)


def _damaged(random: Random, request: Request) -> Request:
    share = random.random()
    body = request.body
    if share < _NOISE_SHARE:
        return request._replace(body=random.randbytes(random.choice((0, 1, 9, 400))))
    if share > _ODD_HEADERS_SHARE or random.random() < 0.5:
        damage = damage_json if request.reads == "json" else npy_bodies.damage_npy
        body = damage(random, body)
    if share > _ODD_HEADERS_SHARE:
        return request._replace(body=body)
    headers = dict(request.headers)
    if share < _GZIP_SHARE + _NOISE_SHARE:
        headers[b"content-encoding"] = b"gzip"
        if random.random() < 0.1:
            body += b" " * 2**21
        body = gzip.compress(body, 1, mtime=0)
        if random.random() < 0.5:
            body = damage_bytes(random, body)
    else:
        name, values = random.choice(_ODD)
        headers[name] = random.choice(values)
    query = random.choice((request.query, *_ODD_QUERIES))
    return request._replace(
        body=body, headers=tuple(headers.items()), query=query, reads=None
    )


def _fields(*fields: tuple[bytes, bytes | None]) -> Headers:
    return tuple((name, value) for name, value in fields if value is not None)
