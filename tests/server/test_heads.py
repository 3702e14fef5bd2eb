"""Request lines and headers: one limit wherever they are cut, and what is allowed."""

import json
import socket
from collections.abc import Callable, Sequence
from time import sleep

import httpx
import numpy as np
import pytest

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.headers import combine_headers
from sigmoid_serve.inference.media import (
    JSON,
    NPY,
    answer_media,
    request_encodings,
    request_media,
)
from sigmoid_serve.server.heads import MOST_HEAD_BYTES, origin_form
from tests.admission.test_queue import npy_bytes
from tests.server.test_connection import answer, post, received

GOOD = b'{"inputs": 0}'
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
END = b"Content-Length: %d\r\n\r\n" % len(GOOD)


def one_field(length: int) -> bytes:
    start = b"POST /sigmoid HTTP/1.1\r\nHost: x\r\nX-Long: "
    return start + b"x" * (length - len(start) - len(END) - 2) + b"\r\n" + END


def many_fields(length: int) -> bytes:
    start = b"POST /sigmoid HTTP/1.1\r\nHost: x\r\n"
    rest = length - len(start) - len(END)
    field = b"X-Short: " + b"x" * 300 + b"\r\n"
    count = rest // len(field) - 1
    last = rest - count * len(field)
    return start + field * count + b"X: " + b"x" * (last - 5) + b"\r\n" + END


def target(length: int) -> bytes:
    # Another parameter is refused, but not before the head was read.
    head = b" HTTP/1.1\r\nHost: x\r\n" + END
    start = b"POST /sigmoid?"
    return start + b"x" * (length - len(start) - len(head)) + head


def white_space(length: int) -> bytes:
    start = b"POST /sigmoid HTTP/1.1\r\nHost: x\r\nX-Far:"
    return start + b" " * (length - len(start) - len(END) - 3) + b"x\r\n" + END


def white_space_behind(length: int) -> bytes:
    start = b"POST /sigmoid HTTP/1.1\r\nHost: x\r\nX-Far: x"
    return start + b" " * (length - len(start) - len(END) - 2) + b"\r\n" + END


HEADS: dict[str, Callable[[int], bytes]] = {
    "one field": one_field,
    "many fields": many_fields,
    "target": target,
    "white space": white_space,
    "white space behind": white_space_behind,
}


def pieces(size: int) -> Callable[[bytes], list[bytes]]:
    def cut(message: bytes) -> list[bytes]:
        return [message[at : at + size] for at in range(0, len(message), size)]

    return cut


def halves(message: bytes) -> list[bytes]:
    return [message[: len(message) // 2], message[len(message) // 2 :]]


CUTS: dict[str, Callable[[bytes], list[bytes]]] = {
    "whole": lambda message: [message],
    "halves": halves,
    "before the end of the head": lambda message: [
        message[: message.index(b"\r\n\r\n") + 3],
        message[message.index(b"\r\n\r\n") + 3 :],
    ],
    "kilobytes": pieces(1000),
    "behind another": lambda message: [LIVEZ + message],
    "behind another, halves": lambda message: halves(LIVEZ + message),
    "behind another, thirds": lambda message: [
        *halves(LIVEZ + message[:50_000]),
        message[50_000:],
    ],
}


def send(wire: socket.socket, parts: Sequence[bytes]) -> None:
    for part in parts:
        wire.sendall(part)
        sleep(0.02 if len(parts) < 10 else 0)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("kind", HEADS)
def test_the_limit_of_a_head(wire: socket.socket, kind: str, cut: str) -> None:
    head = HEADS[kind](MOST_HEAD_BYTES)
    assert len(head) == MOST_HEAD_BYTES
    rest = b""
    for _ in range(2):
        send(wire, CUTS[cut](head + GOOD))
        if "another" in cut:
            _, body, rest = answer(wire, rest)
            assert json.loads(body) == {"status": "ok"}
        line, body, rest = answer(wire, rest)
        assert line.startswith(b"HTTP/1.1 200 ")
        assert json.loads(body)["outputs"] == 0.5


@pytest.mark.parametrize("excess", [1, 100, 10_000, 200_000])
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("kind", HEADS)
def test_a_head_beyond_it(
    wire: socket.socket, kind: str, cut: str, excess: int
) -> None:
    if kind == "white space" and "another" in cut:
        pytest.skip("that much is not counted there; see wire.head_bytes")
    # The method, the version and the spaces of a request line are not counted.
    head = HEADS[kind](MOST_HEAD_BYTES + excess + 30)
    send(wire, CUTS[cut](head + GOOD))
    rest = b""
    if "another" in cut:
        _, _, rest = answer(wire)
    line, body, rest = answer(wire, rest)
    assert line.startswith(b"HTTP/1.1 431 ")
    assert b"connection: close" in line
    problem = json.loads(body)
    assert problem["code"] == "header_too_large"
    assert f"{MOST_HEAD_BYTES} bytes" in problem["detail"]
    assert rest + wire.recv(1) == b""


def test_the_limit_is_for_each_head_alone(wire: socket.socket) -> None:
    """However many come together, and whatever their bodies."""
    head = one_field(30_000)
    wire.sendall((head + GOOD) * 10)
    rest = b""
    for _ in range(10):
        line, _, rest = answer(wire, rest)
        assert line.startswith(b"HTTP/1.1 200 ")


FORMS = {
    "origin": b"/sigmoid",
    "absolute": b"http://other.example/sigmoid",
    "absolute, port": b"http://other.example:8080/sigmoid",
    "absolute, https": b"https://other.example/sigmoid",
    "percent": b"/sigmo%69d",
    "empty query": b"/sigmoid?",
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_of_a_target(wire: socket.socket, form: str) -> None:
    for _ in range(2):
        wire.sendall(post(FORMS[form].decode(), GOOD))
        line, body, rest = answer(wire)
        assert line.startswith(b"HTTP/1.1 200 ")
        assert json.loads(body)["outputs"] == 0.5
        assert rest == b""


def test_the_asterisk_and_the_absolute_root(wire: socket.socket) -> None:
    wire.sendall(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
    line, body, _ = answer(wire)
    assert line.startswith(b"HTTP/1.1 405 ")
    assert json.loads(body)["code"] == "method_not_allowed"
    wire.sendall(b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n")
    assert received(wire).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("target", "root_path", "path"),
    [
        (b"/predict", b"", b"/predict"),
        (b"/predict", b"/api", b"/predict"),
        (b"/api/predict", b"/api", b"/predict"),
        (b"/api/api/predict?x=/api", b"/api", b"/api/predict?x=/api"),
        (b"/apis/predict", b"/api", b"/apis/predict"),
        (b"/api", b"/api", b"/"),
        (b"/api?x", b"/api", b"/?x"),
        (b"/a/b/c", b"/a/b", b"/c"),
        (b"http://h/api/predict?x", b"/api", b"/predict?x"),
        (b"http://h", b"/api", b"/"),
        (b"http://h?x", b"", b"/?x"),
        (b"*", b"/api", b"/"),
    ],
)
def test_a_target_as_path(target: bytes, root_path: bytes, path: bytes) -> None:
    assert origin_form(target, root_path) == path


ALLOWED = {
    "empty lines before": b"\r\n\r\n" + post("/sigmoid", GOOD),
    "no space after the colon": b"POST /sigmoid HTTP/1.1\r\nHost:x\r\n"
    b"Content-Length:13\r\n\r\n" + GOOD,
    "space around values": post("/sigmoid", GOOD, "Accept: \t application/json \t"),
    "empty value": post("/sigmoid", GOOD, "X-Empty:", "Accept:"),
    "names in capitals": post("/sigmoid", GOOD, "CONTENT-TYPE: APPLICATION/JSON"),
    "charset in quotes": post(
        "/sigmoid", GOOD, 'Content-Type: application/json; Charset="UTF-8"'
    ),
    "bytes beyond ASCII": post("/sigmoid", GOOD).replace(
        b"x\r\n", b"x\r\nX: \xe9\r\n", 1
    ),
    "chunks": b"POST /sigmoid HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
    b'0005;name="a;b"\r\n{"inp\r\nA ;x\r\nuts": 0   \r\n1  \r\n}\r\n000\r\n\r\n',
    "trailers": b"POST /sigmoid HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    b"Trailer: X-Sum\r\n\r\nd\r\n" + GOOD + b"\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n",
    "expect": post("/sigmoid", GOOD, "Expect: 100-Continue"),
    "expect, chunked": b"POST /sigmoid HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nd\r\n" + GOOD + b"\r\n0\r\n\r\n",
    "another expectation": post("/sigmoid", GOOD, "Expect: miracles"),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_else_is_allowed(wire: socket.socket, name: str) -> None:
    for _ in range(2):
        wire.sendall(ALLOWED[name])
        rest = received(wire).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        line, body, rest = answer(wire, rest)
        assert line.startswith(b"HTTP/1.1 200 ")
        assert json.loads(body)["outputs"] == 0.5
        assert rest == b""


@pytest.mark.parametrize("name", ["Content-Type", "X-Request-ID", "Accept"])
def test_trailers_change_no_header(wire: socket.socket, name: str) -> None:
    trailers = f"{name}: nonsense\r\nX-Long: {'x' * 1000}\r\n".encode()
    wire.sendall(
        b"POST /sigmoid HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nd\r\n"
        + GOOD
        + b"\r\n0\r\n"
        + trailers
        + b"\r\n"
    )
    line, body, _ = answer(wire)
    assert b"x-request-id: mine" in line
    assert json.loads(body)["outputs"] == 0.5


def test_fields_in_several_lines_are_joined() -> None:
    lines = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3, 4"), (b"a", b"")]
    assert combine_headers(lines) == {b"a": b"1, 3, 4, ", b"b": b"2"}
    assert combine_headers(lines[:2]) == {b"a": b"1", b"b": b"2"}
    many = [(b"a", b"x")] * 20_000
    assert len(combine_headers(many)[b"a"]) == 3 * 20_000 - 2


@pytest.mark.parametrize("path", ["/sigmoid", "/sigmoid?"])
def test_accept_in_several_lines(wire: socket.socket, path: str) -> None:
    wire.sendall(post(path, GOOD, "Accept: text/html", f"Accept: {NPY}", "Accept: a/b"))
    assert NPY.encode() in answer(wire)[0]
    wire.sendall(post(path, GOOD, f"Accept: {JSON};q=0.1", f"Accept: {NPY};q=0.2"))
    assert NPY.encode() in answer(wire)[0]


@pytest.mark.parametrize("path", ["/sigmoid", "/sigmoid?"])
def test_two_content_types_are_none(wire: socket.socket, path: str) -> None:
    types = [f"Content-Type: {JSON}", f"Content-Type: {NPY}"]
    for headers in (types, types[::-1]):
        wire.sendall(post(path, GOOD, *headers))
        line, body, _ = answer(wire)
        assert line.startswith(b"HTTP/1.1 415 ")
        assert json.loads(body)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("content_type", [None, b"", b"  "])
def test_no_type_is_json(content_type: bytes | None) -> None:
    assert request_media(content_type) == "json"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", "json"),
        (" ", "json"),
        ("*/*", "json"),
        (f"{JSON}, {NPY}", "json"),
        (f"{NPY}, {JSON}", "npy"),
        (f"{NPY}, */*", "npy"),
        (f"{NPY};q=0.9, */*", "json"),
        (f"{NPY};q=0.5, */*;q=0.1", "npy"),
        (f"{JSON};q=0, */*", "npy"),
        (f"{JSON};q=0.0, {NPY};q=0.001", "npy"),
        (f"{NPY};q=0, */*;q=0.1", "json"),
        (f"application/*;q=0, {NPY}", "npy"),
        (f"application/*;q=0.3, {NPY};q=0.2, */*;q=1", "json"),
        (f"*/*;q=0, {JSON};q=0.1", "json"),
        ("application/*", "json"),
        (f"text/html, {JSON.upper()} ; Q = 0.4", "json"),
        (f"{JSON};q=0.4;ext=1, {NPY};charset=x;q=0.5", "npy"),
        (f"{JSON};q=nan, {NPY};q=0.1", "npy"),
        (f"{JSON};q=inf, {NPY};q=0.1", "npy"),
        (f"{JSON};q=2, {NPY};q=0.1", "npy"),
        (f"{JSON};q=-1, {NPY};q=0.1", "npy"),
        (f"{JSON};q=1e0, {NPY};q=0.1", "npy"),
        (f"{JSON};q=1.000, {NPY};q=0.999", "json"),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", "json"),
        ("*", "json"),
        (f"*;q=.5, {JSON};q=.4, {NPY};q=.30", "json"),
        (f"*;q=0, {NPY};q=.001", "npy"),
    ],
)
def test_weights_count(accept: str, media: str) -> None:
    assert answer_media(accept.encode()) == media


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "*/*;q=0",
        f"{JSON};q=0, {NPY};q=0",
        f"{JSON};q=0, application/xml",
        "application/*;q=0",
        f"{JSON};q=x",
        f"{JSON};q=.",
        "*;q=.0",
        "application",
        ",",
    ],
)
def test_nothing_that_we_have_is_accepted(accept: str) -> None:
    with pytest.raises(ServiceError) as caught:
        answer_media(accept.encode())
    assert caught.value.code == "not_acceptable"


@pytest.mark.parametrize(
    ("header", "encodings"),
    [
        (None, ()),
        (b"", ()),
        (b"identity", ()),
        (b"gzip", ("gzip",)),
        (b"X-GZIP", ("gzip",)),
        (b" deflate , identity", ("deflate",)),
        (b"deflate, gzip", ("deflate", "gzip")),
        (b"gzip, , identity, gzip", ("gzip", "gzip")),
    ],
)
def test_encodings(header: bytes | None, encodings: tuple[str, ...]) -> None:
    assert request_encodings(header) == encodings


def test_a_weight_decides_over_http(client: httpx.Client) -> None:
    values = np.zeros(3, np.float32)
    for path in ("/sigmoid", "/sigmoid?"):
        answered = client.post(
            path,
            content=npy_bytes(values),
            headers={"Content-Type": NPY, "Accept": f"{JSON};q=0, */*;q=0.5"},
        )
        assert answered.headers["content-type"] == NPY


@pytest.mark.parametrize("path", ["/sigmoid", "/sigmoid?", "/nothing"])
@pytest.mark.parametrize("space", [" ", "\t", " \t  "])
def test_white_space_around_a_value_is_no_part_of_it(
    wire: socket.socket, path: str, space: str
) -> None:
    lines = (f"X-Request-ID:{space}abc{space}", f"Accept:{space}*/*{space}")
    wire.sendall(post(path, GOOD, *lines))
    head, _, _ = answer(wire)
    assert b"\r\nx-request-id: abc\r\n" in head + b"\r\n"
