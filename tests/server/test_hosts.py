"""What the head of a request must say: one host, a version, one way to end its body."""

import json
import socket
from collections.abc import Mapping
from contextlib import suppress

import pytest

from sigmoid_serve.server.framing import is_host
from tests.server.test_connection import answer, post
from tests.server.test_slow_senders import last_words

GOOD = b'{"inputs": 0}'
LIMITS = b"GET /limits HTTP/1.1\r\nHost: x\r\n\r\n"
LONG = post("/sigmoid?", GOOD.ljust(190_000))
BEFORE = {
    "alone": (b"", 0),
    "behind a short one": (post("/sigmoid", GOOD), 1),
    "behind a page": (LIMITS, 1),
    "behind a long one": (LONG, 1),
    "behind several": (post("/sigmoid", GOOD) + LIMITS + post("/sigmoid", GOOD), 3),
}

HOSTS = {
    "example.org": True,
    "example.org:8080": True,
    "x": True,
    "my_service:80": True,
    "127.0.0.1:8080": True,
    "[::1]": True,
    "[fe80::1%25eth0]:8080": True,
    "xn--mnchen-3ya.example": True,
    "m%C3%BCnchen.example": True,
    "x:": True,
    "": True,
    ":80": True,
    "a b": False,
    "a, b": False,
    "a,a": False,
    "a/b": False,
    "http://a": False,
    "user@a": False,
    "a:b": False,
    "a:80:80": False,
    "[::1": False,
    "::1": False,
    "a%": False,
    "münchen.example": False,
    'a"': False,
    "a?b": False,
    "a#b": False,
    "x" * 1025: False,
}


@pytest.mark.parametrize("host", HOSTS)
def test_a_host(host: str) -> None:
    assert is_host(host.encode()) is HOSTS[host]


def head(host: str, target: str = "/sigmoid", version: str = "1.1") -> bytes:
    line = f"POST {target} HTTP/{version}\r\n{host}Content-Length: {len(GOOD)}\r\n\r\n"
    return line.encode("latin-1") + GOOD


ALLOWED = {
    "one": head("Host: x\r\n"),
    "empty": head("Host:\r\n"),
    "IPv6": head("Host: [::1]:8080\r\n"),
    "spaces around": head("Host: \t x \t\r\n"),
    "another in the target": head("Host: x\r\n", "http://y/sigmoid"),
    "old, none": head("Connection: keep-alive\r\n", version="1.0"),
    "old, one": head("Connection: keep-alive\r\nHost: x\r\n", version="1.0"),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_answered(wire: socket.socket, name: str) -> None:
    for _ in range(2):
        wire.sendall(ALLOWED[name])
        line, body, rest = answer(wire)
        assert line.startswith(b"HTTP/1.1 200 ")
        assert json.loads(body)["outputs"] == 0.5
        assert rest == b""


def framed(*lines: str, version: str = "1.1", body: bytes = b"") -> bytes:
    first = f"POST /sigmoid HTTP/{version}\r\nHost: x\r\n"
    return first.encode() + "".join(f"{x}\r\n" for x in lines).encode() + b"\r\n" + body


CHUNKED = "Transfer-Encoding: chunked"
LENGTH = f"Content-Length: {len(GOOD)}"
CHUNKS = b"d\r\n" + GOOD + b"\r\n0\r\n\r\n"
REFUSED: Mapping[str, bytes] = {
    "no host": head(""),
    "no host, page": b"GET /livez HTTP/1.1\r\n\r\n",
    "no host, whole target": b"GET http://x/livez HTTP/1.1\r\n\r\n",
    "two hosts": head("Host: x\r\nHost: y\r\n"),
    "the same host twice": head("Host: x\r\nhost: x\r\n"),
    "two empty hosts": head("Host:\r\nHost:\r\n"),
    "empty host, whole target": head("Host:\r\n", "http://x/sigmoid"),
    "no right host": head("Host: a b\r\n"),
    "no right host, page": b"GET /livez HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "old, two hosts": head("Host: x\r\nHost: y\r\n", version="1.0"),
    "version 0.9": head("Host: x\r\n", version="0.9"),
    "version 1.2": head("Host: x\r\n", version="1.2"),
    "version 2.0": head("Host: x\r\n", version="2.0"),
    "version 2.0, goes on": head(
        "Host: x\r\nConnection: keep-alive\r\n", version="2.0"
    ),
    "version 3.7": head("Host: x\r\n", version="3.7"),
    "no version": b"GET /livez\r\n\r\n",
    "HTTP/2 without a word": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "unknown coding": framed("Transfer-Encoding: xchunked", body=CHUNKS),
    "identity": framed("Transfer-Encoding: identity", body=GOOD),
    "gzip, chunked": framed("Transfer-Encoding: gzip, chunked", body=CHUNKS),
    "gzip in another line": framed("Transfer-Encoding: gzip", CHUNKED, body=CHUNKS),
    "chunked, gzip": framed("Transfer-Encoding: chunked, gzip", body=CHUNKS),
    "chunked twice": framed(CHUNKED, CHUNKED, body=CHUNKS),
    "empty coding": framed("Transfer-Encoding:", body=CHUNKS),
    "chunked and length": framed(CHUNKED, LENGTH, body=CHUNKS),
    "length and chunked": framed(LENGTH, CHUNKED, body=CHUNKS),
    "old, chunked": framed(CHUNKED, version="1.0", body=CHUNKS),
    "two lengths": framed(LENGTH, LENGTH, body=GOOD),
    "length with a sign": framed("Content-Length: +13", body=GOOD),
    "length beyond all": framed(f"Content-Length: {10**30}", body=GOOD),
    "folded field": framed("X: a\r\n b", LENGTH, body=GOOD),
    "space before a colon": framed("X : a", LENGTH, body=GOOD),
    "no chunk": framed(CHUNKED, body=b"ZZ\r\n"),
    "chunk of a negative length": framed(CHUNKED, body=b"-1\r\n"),
    "chunk beyond all": framed(CHUNKED, body=b"f" * 20 + b"\r\n"),
    "chunk without end": framed(CHUNKED, body=b"2\r\n{}X"),
    "chunk, then none": framed(CHUNKED, body=b"d\r\n" + GOOD + b"\r\nQ\r\n"),
    "chunk, bare line ends": framed(CHUNKED, body=b"d\n" + GOOD + b"\n0\n\n"),
    "chunk, broken trailer": framed(CHUNKED, body=CHUNKS[:-2] + b"a b\r\n\r\n"),
}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("is_split", [False, True], ids=["whole", "split"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_at_once(
    wire: socket.socket, name: str, is_split: bool, before: str
) -> None:
    """In its turn, once, and nothing after it; also when its head was taken in."""
    first, good = BEFORE[before]
    cut = REFUSED[name].index(b"\r\n\r\n") + 4 if is_split else len(REFUSED[name])
    wire.sendall(first + REFUSED[name][:cut])
    rest = b""
    for _ in range(good):
        line, _, rest = answer(wire, rest)
        assert line.startswith(b"HTTP/1.1 200 ")
    if is_split and cut < len(REFUSED[name]):
        with suppress(OSError):  # it may be refused by its head
            wire.sendall(REFUSED[name][cut:])
    line, body, rest = answer(wire, rest)
    assert line.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in line
    problem = json.loads(body)
    assert problem["code"] == "malformed_request"
    assert rest == b""
    assert last_words(wire, 1) == b""


def test_a_body_that_breaks_after_its_answer_has_no_second(wire: socket.socket) -> None:
    wire.sendall(
        LIMITS.replace(b"Host: x\r\n", b"Host: x\r\n" + CHUNKED.encode() + b"\r\n")
    )
    line, _, rest = answer(wire)
    assert line.startswith(b"HTTP/1.1 200 ")
    wire.sendall(b"ZZ\r\n")
    assert rest + last_words(wire, 2) == b""
