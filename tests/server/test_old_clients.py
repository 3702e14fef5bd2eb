"""HTTP/1.0: what `Connection` says is what happens, on every way."""

import json
import socket
from time import monotonic

import pytest

from tests.server.test_connection import ROW, answer

REQUESTS = {
    "short": (b"POST /sigmoid", b'{"inputs": 0}'),
    "row": (b"POST /predict", ROW),
    "query": (b"POST /predict?output=logits", ROW),
    "long": (b"POST /sigmoid", b'{"inputs": ' + b" " * 150_000 + b"0}"),
    "health": (b"GET /livez", b""),
    "error": (b"POST /sigmoid", b"{"),
    "not found": (b"GET /nothing", b""),
    "method": (b"PUT /predict", b""),
}


def request(name: str, version: bytes, *headers: bytes) -> bytes:
    line, body = REQUESTS[name]
    lines = (b"%b HTTP/%b" % (line, version), b"Content-Length: %d" % len(body))
    return b"\r\n".join((*lines, *headers, b"", body))


def connection(head: bytes) -> list[bytes]:
    return [
        line.split(b": ")[1]
        for line in head.split(b"\r\n")
        if line.startswith(b"connection: ")
    ]


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("word", [b"Keep-Alive", b"keep-alive", b"foo, keep-alive"])
def test_who_asks_for_it_goes_on(wire: socket.socket, name: str, word: bytes) -> None:
    """As `ab -k` does, which waits for the end where this is not said."""
    for _ in range(3):
        began = monotonic()
        wire.sendall(request(name, b"1.0", b"Connection: " + word, b"Host: x"))
        head, body, rest = answer(wire)
        assert connection(head) == [b"keep-alive"]
        assert b"\r\nkeep-alive: timeout=75\r\n" in head + b"\r\n"
        assert json.loads(body)
        assert rest == b""
        assert monotonic() - began < 2


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize(
    ("version", "headers"),
    [
        (b"1.0", ()),
        (b"1.0", (b"Connection: close",)),
        (b"1.1", (b"Host: x", b"Connection: close")),
        (b"1.1", (b"Host: x", b"Connection: TE, Close")),
    ],
    ids=repr,
)
def test_who_does_not_ask_for_it_ends(
    wire: socket.socket, name: str, version: bytes, headers: tuple[bytes, ...]
) -> None:
    wire.sendall(request(name, version, *headers))
    head, _, rest = answer(wire)
    assert connection(head) == [b"close"]
    assert b"keep-alive" not in head
    assert rest + wire.recv(1) == b""


def test_what_comes_after_the_last_request_is_not_answered(wire: socket.socket) -> None:
    last = request("short", b"1.1", b"Host: x", b"Connection: close")
    wire.sendall(last + request("short", b"1.1", b"Host: x") * 3)
    head, _, rest = answer(wire)
    assert connection(head) == [b"close"]
    assert rest + wire.recv(1) == b""


@pytest.mark.parametrize("name", REQUESTS)
def test_newer_clients_are_told_how_long_it_lasts(
    wire: socket.socket, name: str
) -> None:
    for _ in range(2):
        wire.sendall(request(name, b"1.1", b"Host: x"))
        head, _, rest = answer(wire)
        assert connection(head) == []
        assert b"\r\nkeep-alive: timeout=75\r\n" in head + b"\r\n"
        assert rest == b""


def test_old_clients_are_not_told_to_go_on(wire: socket.socket) -> None:
    """They know no answer before the answer."""
    wire.sendall(request("query", b"1.0", b"Expect: 100-continue"))
    assert answer(wire)[0].startswith(b"HTTP/1.1 200 ")
