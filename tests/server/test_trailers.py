"""What stands between chunks and behind them: limited like a head, and never read."""

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.inference.media import NPY
from sigmoid_serve.server.heads import MOST_FIELDS, MOST_HEAD_BYTES
from tests.admission.test_queue import Served, serving
from tests.http.test_keys import ADMIN, bearer, line
from tests.server.test_connection import answer, post
from tests.server.test_slow_senders import last_words

GOOD = b'{"inputs": 0}'
CHUNK = b"d\r\n" + GOOD + b"\r\n"
SIZE = 4 * MOST_HEAD_BYTES


def chunked(path: str, *headers: str, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Transfer-Encoding: chunked"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


HEADS = {
    "inference": chunked("/sigmoid"),
    "inference with a query": chunked("/predict?output=logits"),
    "page": chunked("/limits", method="GET"),
    "nothing there": chunked("/nothing"),
}
# What is sent forever, after what.
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "fields": (CHUNK + b"0\r\n", b"abcd: efgh\r\n"),
    "long fields": (CHUNK + b"0\r\n", b"a: " + b"b" * 1000 + b"\r\n"),
    "empty fields": (CHUNK + b"0\r\n", b"a:\r\n"),
    "one field": (CHUNK + b"0\r\nX: ", b"x" * 1000),
    "one name": (CHUNK + b"0\r\n", b"x" * 1000),
    "an extension": (CHUNK + b"1;a=", b"x" * 1000),
    "a quoted extension": (CHUNK + b'1;a="', b"x" * 1000),
    "extensions": (CHUNK + b"1", b";a=b" * 100),
    "an extension of the last": (CHUNK + b"0;a=", b"x" * 1000),
    "zeros": (CHUNK, b"0" * 1000),
    "spaces": (CHUNK + b"1", b" " * 1000),
}


def is_head_answered_first(name: str) -> bool:
    return name in ("page", "nothing there")


@pytest.mark.parametrize("size", [100, 5000, SIZE], ids=["small", "pieces", "whole"])
@pytest.mark.parametrize("kind", ENDLESS)
@pytest.mark.parametrize("head", HEADS)
def test_what_has_no_end(wire: socket.socket, head: str, kind: str, size: int) -> None:
    first, more = ENDLESS[kind]
    stream = first + more * (SIZE // len(more))
    wire.sendall(HEADS[head])
    with suppress(OSError):  # it is cut off on the way
        for at in range(0, len(stream), size):
            wire.sendall(stream[at : at + size])
    begun = monotonic()
    words = last_words(wire, 5)
    assert monotonic() - begun < 5
    if is_head_answered_first(head):
        return  # it had its answer; the connection is closed all the same
    if words:  # else it was reset, as it went on
        status, problem = words[:13], json.loads(words.partition(b"\r\n\r\n")[2])
        assert status == b"HTTP/1.1 431 "
        assert problem["code"] == "header_too_large"
        assert b"connection: close" in words


@pytest.mark.parametrize("before", [b"", post("/sigmoid", GOOD)], ids=["", "behind"])
@pytest.mark.parametrize("excess", [-10, 1], ids=["at the limit", "beyond it"])
def test_the_number_of_fields(wire: socket.socket, before: bytes, excess: int) -> None:
    fields = b"a: b\r\n" * (MOST_FIELDS + min(excess, 1) * (excess > 0))
    trailers = CHUNK + b"0\r\n" + fields + b"\r\n"
    heads = b"GET /livez HTTP/1.1\r\nHost: x\r\n" + fields[6:] + b"\r\n"
    for request in (chunked("/sigmoid") + trailers, heads):
        wire.sendall(before + request)
        rest = b""
        if before:
            _, _, rest = answer(wire)
        status, _, _ = answer(wire, rest)
        if excess > 0:
            assert status.startswith(b"HTTP/1.1 431 ")
            return
        assert status.startswith(b"HTTP/1.1 200 ")


def test_the_bytes_of_trailers(wire: socket.socket) -> None:
    for size, status in ((MOST_HEAD_BYTES - 5000, 200), (MOST_HEAD_BYTES + 5000, 431)):
        trailer = b"X: " + b"x" * size + b"\r\n\r\n"
        wire.sendall(chunked("/sigmoid") + CHUNK + b"0\r\n" + trailer)
        assert answer(wire)[0].startswith(b"HTTP/1.1 %d " % status)


def test_many_small_chunks_are_no_trailer(wire: socket.socket) -> None:
    body = b'{"inputs":' + b" " * 50_000 + b"0}"
    chunks = b"".join(b"1;%b\r\n%c\r\n" % (b"x" * 10, byte) for byte in body)
    wire.sendall(chunked("/sigmoid") + chunks + b"0\r\n\r\n")
    status, text, _ = answer(wire)
    assert status.startswith(b"HTTP/1.1 200 ")
    assert json.loads(text)["outputs"] == 0.5


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path: Path = tmp_path_factory.mktemp("keys") / "keys.txt"
    path.write_text(line(ADMIN))
    with serving(Settings(api_keys_file=path)) as served:
        yield served


def sent(wire: socket.socket, parts: Sequence[bytes]) -> tuple[bytes, bytes]:
    for part in parts:
        wire.sendall(part)
    status, body, _ = answer(wire)
    return status, body


WAYS: dict[str, Callable[[bytes], list[bytes]]] = {
    "whole": lambda message: [message],
    "bytes": lambda message: [bytes([byte]) for byte in message],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", ["/sigmoid", "/sigmoid?", "/models/digits/reload"])
def test_a_key_in_a_trailer_opens_nothing(locked: Served, path: str, way: str) -> None:
    (key,) = (f"{name}: {value}" for name, value in bearer(ADMIN).items())
    trailer = f"{key}\r\nX-Request-ID: b\r\n\r\n".encode()
    for shown, code in (
        ([], "key_required"),
        (["Authorization: Bearer no"], "key_unknown"),
    ):
        message = chunked(path, "X-Request-ID: a", *shown) + CHUNK + b"0\r\n" + trailer
        with locked.connect() as wire:
            status, body = sent(wire, WAYS[way](message))
        assert status.startswith(b"HTTP/1.1 401 ")
        assert b"x-request-id: a" in status
        assert json.loads(body)["code"] == code


@pytest.mark.parametrize("way", WAYS)
def test_a_trailer_says_nothing_of_the_answer(locked: Served, way: str) -> None:
    (key,) = (f"{name}: {value}" for name, value in bearer(ADMIN).items())
    fields = f"Accept: {NPY}\r\nX-Request-ID: b\r\nContent-Encoding: gzip\r\n"
    fields += "Connection: upgrade\r\nUpgrade: h2c\r\nHost: y\r\n"
    fields += "Expect: 100-continue\r\n"
    head = chunked("/sigmoid", key, "X-Request-ID: a")
    message = head + CHUNK + b"0\r\n" + fields.encode() + b"\r\n"
    with locked.connect() as wire:
        for _ in range(2):
            status, body = sent(wire, WAYS[way](message))
            assert status.startswith(b"HTTP/1.1 200 ")
            assert b"x-request-id: a" in status
            assert b"connection: close" not in status
            assert json.loads(body)["outputs"] == 0.5


@pytest.mark.parametrize("field", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_trailer_that_says_how_long_the_body_is(
    wire: socket.socket, field: str
) -> None:
    message = chunked("/sigmoid") + CHUNK + b"0\r\n" + field.encode() + b"\r\n\r\n"
    wire.sendall(message)
    status, _, rest = answer(wire)
    assert status.startswith(b"HTTP/1.1 400 ")
    assert rest + last_words(wire, 1) == b""


@pytest.mark.parametrize("before", [b"", post("/sigmoid", GOOD)], ids=["", "behind"])
@pytest.mark.parametrize("path", ["/sigmoid", "/limits", "/nothing"])
@pytest.mark.parametrize("is_split", [False, True], ids=["whole", "split"])
def test_a_trailer_that_ends_the_connection(
    wire: socket.socket, before: bytes, path: str, *, is_split: bool
) -> None:
    """The parser reads nothing behind it, so nobody waits for an answer."""
    wire.sendall(before + chunked(path) + CHUNK)
    if is_split:
        sleep(0.1)
    wire.sendall(b"0\r\nConnection: close\r\n\r\n")
    rest = b""
    for _ in range(2 if before else 1):
        _, _, rest = answer(wire, rest)
    assert rest + last_words(wire, 1) == b""
