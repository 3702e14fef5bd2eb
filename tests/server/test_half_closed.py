"""Clients that stop sending and wait: answered on every way over plain TCP."""

import gzip
import json
import socket

import httpx
import pytest

from tests.server.test_connection import ROW, answer, post

HALF_CLOSED = {
    "short": post("/sigmoid", b'{"inputs": 0}'),
    "row": post("/predict", ROW),
    "version": post("/models/breast-cancer/versions/1/predict", ROW),
    "query": post("/predict?output=logits", ROW),
    "long": post("/sigmoid", b'{"inputs": ' + b" " * 150_000 + b"0}"),
    "gzip": post("/sigmoid", gzip.compress(b'{"inputs": 0}'), "Content-Encoding: gzip"),
    "chunked": b"POST /sigmoid HTTP/1.1\r\nHost: x\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
    b'd\r\n{"inputs": 0}\r\n0\r\n\r\n',
    "closing": post("/sigmoid", b'{"inputs": 0}', "Connection: close"),
    "old": b"POST /sigmoid HTTP/1.0\r\nContent-Length: 13\r\n\r\n" + b'{"inputs": 0}',
    "upgrade": post(
        "/sigmoid", b'{"inputs": 0}', "Connection: upgrade", "Upgrade: h2c"
    ),
    "error": post("/sigmoid", b'{"inputs": true}'),
    "error of another way": post("/models/breast-cancer/versions/1/predict", b"{"),
    "not found": post("/nothing", b""),
    "health": b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n",
    "page": b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n",
    "metrics": b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
}
STATUSES = {"error": 422, "error of another way": 400, "not found": 404}


@pytest.mark.parametrize("name", HALF_CLOSED)
def test_who_stops_sending_is_answered(client: httpx.Client, name: str) -> None:
    address = (client.base_url.host, client.base_url.port or 80)
    for _ in range(5):
        with socket.create_connection(address, timeout=20) as wire:
            wire.sendall(HALF_CLOSED[name])
            wire.shutdown(socket.SHUT_WR)
            head, body, rest = answer(wire)
            assert head.startswith(b"HTTP/1.1 %d " % STATUSES.get(name, 200))
            assert body
            # Then the server closes, too.
            assert rest + wire.recv(1) == b""


def test_all_that_was_pipelined_is_answered(wire: socket.socket) -> None:
    wire.sendall(b"".join(HALF_CLOSED[name] for name in ("short", "page", "version")))
    wire.sendall(HALF_CLOSED["chunked"] * 3)
    wire.shutdown(socket.SHUT_WR)
    rest = b""
    for _ in range(6):
        head, _, rest = answer(wire, rest)
        assert head.startswith(b"HTTP/1.1 200 ")
    assert rest + wire.recv(1) == b""


@pytest.mark.parametrize("name", ["short", "version"])
def test_who_stops_amid_a_request_is_answered_what_came_before(
    wire: socket.socket, name: str
) -> None:
    wire.sendall(HALF_CLOSED[name] + HALF_CLOSED["version"][:-1])
    wire.shutdown(socket.SHUT_WR)
    head, body, rest = answer(wire)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body)
    assert rest + wire.recv(1) == b""
