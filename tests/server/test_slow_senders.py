"""Clients that take their time: who is cut off, when, and with which last words."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import pytest

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.engine.background import OFFLOAD_ABOVE_BYTES
from tests.admission.test_queue import Served, serving
from tests.server.test_connection import ROW, post
from tests.server.test_connection import answer as read_answer

LIMIT = 1
LATEST = LIMIT + 2
SETTINGS = Settings(header_seconds=LIMIT, body_seconds=LIMIT, max_body_bytes=2**20)
GOOD = b'{"inputs": 0}'
LONG = GOOD.ljust(OFFLOAD_ABOVE_BYTES + 1)
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST /sigmoid HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECT = "Expect: 100-continue"


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(SETTINGS) as served:
        yield served


def last_words(wire: socket.socket, seconds: float = LATEST) -> bytes:
    """Read until the server closes the connection, which must be soon."""
    end = time.monotonic() + seconds
    everything = b""
    while (left := end - time.monotonic()) > 0:
        wire.settimeout(left)
        try:
            chunk = wire.recv(2**16)
        except ConnectionResetError:  # what was sent meanwhile found nobody
            return everything
        except TimeoutError:
            break
        if not chunk:
            return everything
        everything += chunk
    return everything + b"STILL OPEN"


@contextmanager
def trickle(wire: socket.socket, content: bytes) -> Iterator[None]:
    """Send byte by byte, from another thread, until the block or connection ends."""
    is_over = threading.Event()

    def send() -> None:
        for byte in content:
            if is_over.wait(0.1):
                return
            try:
                wire.send(bytes([byte]))
            except OSError:
                return

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


class Verdict(NamedTuple):
    """What a connection was told: good answers, the setting, and no more."""

    good: int
    setting: str
    rest: bytes = b""


def verdict(words: bytes) -> Verdict:
    """Take good answers from the front, then a 408 that is right in every part."""
    bodies, words = whole_answers(words)
    head, _, body = words.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 408 ") or not body.endswith(b"}"):
        return Verdict(len(bodies), "", words)
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (408, "request_timeout")
    lines = head.lower().split(b"\r\n")
    assert lines.count(b"connection: close") == 1
    assert b"x-request-id: " + problem["request_id"].encode() in lines
    assert b"content-length: %d" % len(body) in lines
    said = re.search(rf"within {LIMIT} s \((\w+)\); the connection", problem["detail"])
    assert said, problem["detail"]
    return Verdict(len(bodies), said[1])


def all_verdicts(served: Served, requests: Mapping[str, bytes]) -> dict[str, Verdict]:
    """Send each on a connection of its own, all at once, and wait for the end."""
    with ExitStack() as stack:
        wires = [stack.enter_context(served.connect()) for _ in requests]
        for wire, request in zip(wires, requests.values(), strict=True):
            wire.sendall(request)
        with ThreadPoolExecutor(len(wires)) as threads:
            words = threads.map(last_words, wires)
            return dict(zip(requests, map(verdict, words), strict=True))


def whole_answers(words: bytes) -> tuple[list[bytes], bytes]:
    """Take whole good answers from the front; return their bodies and the rest."""
    words = words.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    bodies = []
    while words.startswith(b"HTTP/1.1 200 "):
        head, _, rest = words.partition(b"\r\n\r\n")
        (line,) = (x for x in head.split(b"\r\n") if x.startswith(b"content-length: "))
        length = int(line.split()[1])
        bodies.append(rest[:length])
        words = rest[length:]
    return bodies, words


HEADERS = {
    "inference": post("/predict", ROW)[:30],
    "other": LIVEZ[:20],
    "all but the last byte": post("/sigmoid", GOOD).split(GOOD)[0][:-1],
    "after a short answer": post("/sigmoid", GOOD) + post("/sigmoid", GOOD)[:30],
    "after a long answer": post("/sigmoid", LONG) + post("/sigmoid", GOOD)[:30],
    "after another answer": LIVEZ + LIVEZ[:5],
}


def test_a_header_that_stops(served: Served) -> None:
    expired = served.metric("sigmoid_requests_timed_out_total", stage="header")
    assert all_verdicts(served, HEADERS) == {
        name: Verdict("after" in name, "SIGMOID_HEADER_SECONDS") for name in HEADERS
    }
    total = served.metric("sigmoid_requests_timed_out_total", stage="header")
    assert total == expired + len(HEADERS)
    assert served.becomes_empty()


@pytest.mark.parametrize("first", [b"", post("/sigmoid", GOOD), LIVEZ])
def test_a_header_byte_by_byte(served: Served, first: bytes) -> None:
    header = b"POST /sigmoid HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 50
    with served.connect() as wire:
        wire.sendall(first)
        with trickle(wire, header):
            said = verdict(last_words(wire))
    assert said == Verdict(bool(first), "SIGMOID_HEADER_SECONDS")
    assert served.becomes_empty()


@pytest.mark.parametrize("content", [b"", b"\r\n" * 50], ids=["silence", "no header"])
def test_who_connects_and_asks_nothing_is_not_answered(
    served: Served, content: bytes
) -> None:
    with served.connect() as wire, trickle(wire, content):
        assert last_words(wire) == b""
    assert served.becomes_empty()


# A whole request, without its end.
STOPPED = {
    "short": post("/sigmoid", GOOD)[:-1],
    "short to a model": post("/predict", ROW)[:-1],
    "short, no body": post("/sigmoid", GOOD)[: -len(GOOD)],
    "almost long": post("/sigmoid", GOOD.ljust(OFFLOAD_ABOVE_BYTES))[:-1],
    "long": post("/sigmoid", LONG)[:-1],
    "long, one byte": post("/sigmoid", LONG)[: 1 - len(LONG)],
    "long, no body": post("/sigmoid", LONG)[: -len(LONG)],
    "chunked": CHUNKED + b"d\r\n" + GOOD + b"\r\n",
    "chunked, amid a chunk": CHUNKED + b"d\r\n" + GOOD[:-1],
    "chunked, no body": CHUNKED,
    "asked for, no body": post("/sigmoid", GOOD, EXPECT)[: -len(GOOD)],
    "gzip, no body": post("/sigmoid", GOOD, "Content-Encoding: gzip")[: -len(GOOD)],
    "closing, no body": post("/sigmoid", GOOD, "Connection: close")[: -len(GOOD)],
    "behind others": post("/sigmoid", GOOD) * 2 + post("/sigmoid", GOOD)[:-1],
    "behind others, long": post("/sigmoid", GOOD) * 2 + post("/sigmoid", LONG)[:-1],
}


def test_a_body_that_stops(served: Served) -> None:
    expired = served.metric("sigmoid_requests_timed_out_total", stage="body")
    assert all_verdicts(served, STOPPED) == {
        name: Verdict(2 * ("behind" in name), "SIGMOID_BODY_SECONDS")
        for name in STOPPED
    }
    total = served.metric("sigmoid_requests_timed_out_total", stage="body")
    assert total == expired + len(STOPPED)
    assert served.becomes_empty()


@pytest.mark.parametrize("body", [GOOD.ljust(100), LONG], ids=["short", "long"])
def test_a_body_byte_by_byte(served: Served, body: bytes) -> None:
    with served.connect() as wire:
        wire.sendall(post("/sigmoid", body)[: -len(body)])
        with trickle(wire, body):
            assert verdict(last_words(wire)) == Verdict(0, "SIGMOID_BODY_SECONDS")
    assert served.becomes_empty()


REFUSED = {
    "too large": (f"POST /sigmoid HTTP/1.1\r\nHost: x\r\nContent-Length: {2**30}", 413),
    "no such model": (
        "POST /models/none/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 999999",
        404,
    ),
    "no such encoding": (
        "POST /sigmoid HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\n"
        "Content-Length: 999999",
        415,
    ),
    "no body wanted": (
        "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 999999",
        200,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_trickles_in_after_an_early_answer(served: Served, name: str) -> None:
    """The rest of a body is not waited for any longer than any other body."""
    head, status = REFUSED[name]
    with served.connect() as wire:
        wire.sendall(head.encode() + b"\r\n\r\n")
        line, body, rest = read_answer(wire)
        assert line.startswith(b"HTTP/1.1 %d " % status)
        assert json.loads(body).get("status") in (status, "ok")
        with trickle(wire, b" " * 50):
            assert rest + last_words(wire) == b""
    assert served.becomes_empty()


def test_an_idle_connection_is_not_cut(served: Served) -> None:
    """Between requests nothing is being sent, so that nothing is slow."""
    with served.connect() as wire:
        for request in (post("/sigmoid", GOOD), LIVEZ):
            wire.sendall(request)
            assert read_answer(wire)[0].startswith(b"HTTP/1.1 200 ")
            time.sleep(2.2 * LIMIT)
        wire.sendall(post("/predict", ROW))
        assert read_answer(wire)[0].startswith(b"HTTP/1.1 200 ")


def test_an_idle_connection_is_not_kept_by_empty_lines() -> None:
    """Uvicorn's own timer ends with the next byte, whatever it is."""
    firsts = {"short": post("/sigmoid", GOOD), "long": post("/sigmoid", LONG)}
    with serving(SETTINGS.model_copy(update={"keep_alive_seconds": 1})) as served:
        requests = {name: first + b"\r\n" for name, first in firsts.items()}
        assert set(all_verdicts(served, requests).values()) == {Verdict(1, "")}
        with served.connect() as wire:
            wire.sendall(LIVEZ)
            read_answer(wire)
            wire.sendall(b"\r\n")
            assert last_words(wire) == b""


def send_slowly(served: Served, body: bytes) -> float:
    """Take less than the limits for a header and for a body, and more for both."""
    request = post("/sigmoid", body)
    head = len(request) - len(body)
    with served.connect() as wire:
        for part in (request[:20], request[20:head], request[head:-1], request[-1:]):
            time.sleep(0.75)
            wire.sendall(part)
        _, answered, rest = read_answer(wire)
    assert rest == b""
    output: float = json.loads(answered)["outputs"]
    return output


def test_a_slow_client_within_the_limits_is_answered() -> None:
    settings = Settings(header_seconds=2, body_seconds=2)
    with serving(settings) as served, ThreadPoolExecutor(2) as threads:
        outputs = threads.map(send_slowly, (served, served), (GOOD, LONG))
        assert list(outputs) == [0.5, 0.5]
        assert served.metric("sigmoid_requests_timed_out_total") == 0
        assert served.becomes_empty()


def test_slow_clients_do_not_keep_others_waiting(served: Served) -> None:
    wires = [served.connect() for _ in range(40)]
    for number, wire in enumerate(wires):
        wire.sendall(list(STOPPED.values())[number % 4])
    for _ in range(10):
        answer = served.client.post("/sigmoid", content=GOOD)
        assert answer.json()["outputs"] == 0.5
    for wire in wires:
        assert verdict(last_words(wire)).setting == "SIGMOID_BODY_SECONDS"
        wire.close()
    assert served.becomes_empty()


def test_pipelined_requests_of_all_kinds_are_answered_in_order(served: Served) -> None:
    bodies = [json.dumps({"inputs": [x]}).encode() for x in range(6)]
    requests = [
        post("/sigmoid", bodies[0]),
        post("/sigmoid", bodies[1].ljust(OFFLOAD_ABOVE_BYTES + 1)),
        post("/sigmoid", bodies[2]),
        CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(bodies[3]), bodies[3]),
        post("/sigmoid", bodies[4], "Content-Encoding: identity"),
        post("/sigmoid", bodies[5]),
    ]
    want = [served.client.post("/sigmoid", content=b).json()["outputs"] for b in bodies]
    with served.connect() as wire:
        stream = b"".join(requests) * 2
        sender = threading.Thread(target=wire.sendall, args=(stream,))
        sender.start()
        got, rest = [], b""
        for _ in range(2 * len(requests)):
            _, body, rest = read_answer(wire, rest)
            got.append(json.loads(body)["outputs"])
        sender.join()
    assert got == 2 * want
    assert served.becomes_empty()
