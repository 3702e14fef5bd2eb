"""What goes over the wire, byte by byte: whole answers, in order, in one piece."""

import json
import socket
from time import sleep

import httpx

from sigmoid_serve.configuration.settings import Settings
from tests.conftest import serve

ROW = json.dumps({"inputs": [0.0] * 30}).encode()


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def answer(wire: socket.socket, buffer: bytes = b"") -> tuple[bytes, bytes, bytes]:
    """Read one answer: its head, its body, and what came after it."""
    while b"\r\n\r\n" not in buffer:
        buffer += received(wire)
    head, _, rest = buffer.partition(b"\r\n\r\n")
    (line,) = (x for x in head.split(b"\r\n") if x.startswith(b"content-length: "))
    length = int(line.split()[1])
    while len(rest) < length:
        rest += received(wire)
    return head, rest[:length], rest[length:]


def received(wire: socket.socket) -> bytes:
    chunk = wire.recv(2**16)
    assert chunk, "the connection was closed"
    return chunk


def test_head_and_body_come_together(wire: socket.socket) -> None:
    for _ in range(20):
        wire.sendall(post("/predict", ROW))
        chunk = received(wire)
        assert chunk.startswith(b"HTTP/1.1 200 OK\r\n")
        assert chunk.endswith(b"}")


def test_pipelined_requests_are_answered_in_order(wire: socket.socket) -> None:
    ask_in_a_row(wire)


def test_a_header_without_end(wire: socket.socket) -> None:
    wire.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\n")
    sleep(0.2)
    wire.sendall(b"X-More: " + b"x" * 2**16)
    everything = b""
    while chunk := wire.recv(2**16):
        everything += chunk
    head, text, rest = answer(wire, everything)
    assert head.startswith(b"HTTP/1.1 431 ")
    assert b"connection: close" in head
    assert json.loads(text)["code"] == "header_too_large"
    assert "header are longer than 65536 bytes" in json.loads(text)["detail"]
    assert rest == b""


def ask_in_a_row(wire: socket.socket) -> None:
    """Send three requests at once; the answers must come in their order."""
    bodies = [json.dumps({"inputs": [x]}).encode() for x in (0, 1, -1)]
    wire.sendall(b"".join(post("/sigmoid", body) for body in bodies))
    rest, outputs = b"", []
    for _ in bodies:
        _, body, rest = answer(wire, rest)
        outputs += json.loads(body)["outputs"]
    assert outputs == [0.5, 0.7310586, 0.26894143]
    assert rest == b""


def test_a_client_that_waits_to_be_told_to_go_on(wire: socket.socket) -> None:
    request = post("/sigmoid", b'{"inputs": 0}', "Expect: 100-continue")
    head, _, body = request.partition(b"\r\n\r\n")
    wire.sendall(head + b"\r\n\r\n")
    assert received(wire) == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.sendall(body)
    assert json.loads(answer(wire)[1])["outputs"] == 0.5


def test_head_requests_have_no_body(wire: socket.socket) -> None:
    for _ in range(2):
        wire.sendall(b"HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        chunk = received(wire)
        assert chunk.startswith(b"HTTP/1.1 200 OK\r\n")
        assert chunk.endswith(b"\r\n\r\n")
    wire.sendall(post("/predict", ROW))
    assert answer(wire)[0].startswith(b"HTTP/1.1 200 OK\r\n")


def test_chunked_bodies(wire: socket.socket) -> None:
    head = b"POST /sigmoid HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire.sendall(head + b'5\r\n{"inp\r\n')
    wire.sendall(b'8\r\nuts": 0}\r\n0\r\n\r\n')
    assert json.loads(answer(wire)[1])["outputs"] == 0.5


def test_close_comes_after_the_answer(wire: socket.socket) -> None:
    wire.sendall(post("/predict", ROW, "Connection: close"))
    everything = b""
    while chunk := wire.recv(2**16):
        everything += chunk
    head, body, rest = answer(wire, everything)
    assert b"connection: close" in head
    assert json.loads(body)["model"] == "breast-cancer"
    assert rest == b""


def test_bytes_that_are_no_http(wire: socket.socket) -> None:
    wire.sendall(b"nonsense\r\n\r\n")
    assert received(wire).startswith(b"HTTP/1.1 400 ")


def test_clients_that_go_away_leave_the_others_served(client: httpx.Client) -> None:
    address = (client.base_url.host, client.base_url.port or 80)
    request = post("/predict", ROW)
    for cut in (10, 40, len(request) - 5, len(request)):
        with socket.create_connection(address) as wire:
            wire.sendall(request[:cut])
    with socket.create_connection(address) as wire:
        wire.sendall(request * 5)
    assert client.post("/predict", content=ROW).status_code == 200


def test_an_idle_connection_is_closed_and_a_busy_one_is_not() -> None:
    livez = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    with serve(Settings(keep_alive_seconds=1)) as client:
        address = (client.base_url.host, client.base_url.port or 80)
        with socket.create_connection(address, timeout=20) as wire:
            for request in (post("/predict", ROW), livez, post("/predict", ROW)):
                wire.sendall(request)
                assert answer(wire)[0].startswith(b"HTTP/1.1 200 OK\r\n")
                sleep(0.7)
            # Longer on its way than an idle connection is kept.
            request = post("/predict", ROW)
            wire.sendall(request[:30])
            sleep(1.5)
            wire.sendall(request[30:-5])
            sleep(1.5)
            wire.sendall(request[-5:])
            assert answer(wire)[0].startswith(b"HTTP/1.1 200 OK\r\n")
            assert wire.recv(1) == b""


def test_a_request_that_fails_on_the_shortcut_says_why(wire: socket.socket) -> None:
    body = json.dumps({"inputs": [[0.0] * 30, [1e300] * 30]}).encode()
    wire.sendall(post("/predict", body, "X-Request-ID: here") + post("/predict", ROW))
    head, text, rest = answer(wire)
    problem = json.loads(text)
    assert head.startswith(b"HTTP/1.1 422 ")
    assert b"content-type: application/problem+json" in head
    assert b"x-request-id: here" in head
    assert (problem["code"], problem["pointer"]) == ("overflow", "/inputs/1/0")
    assert answer(wire, rest)[0].startswith(b"HTTP/1.1 200 OK\r\n")
