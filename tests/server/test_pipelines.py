"""Many requests in a row: answered in order, a few at a time, and not for nobody."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from sigmoid_serve.configuration.settings import Settings
from tests.admission.test_queue import Served, serving, wait_until
from tests.server.test_connection import answer, post

GOOD = b'{"inputs": 0}'
COUNT = 3000


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def row(number: int) -> bytes:
    return json.dumps({"inputs": [number / COUNT]}).encode()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(Settings()) as served:
        yield served


def resident() -> int:
    """Say how many bytes of this process are in memory."""
    text = Path("/proc/self/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found
    return 1024 * int(found[1])


KINDS = {
    "short": lambda number: post("/sigmoid", row(number)),
    "long way": lambda number: post("/sigmoid?", row(number)),
    "both": lambda number: post("/sigmoid" + "?" * (number % 3 == 0), row(number)),
    "chunked": lambda number: (
        b"POST /sigmoid HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(row(number)), row(number))
    ),
    "bodies of all lengths": lambda number: post(
        "/sigmoid" + "?" * (number % 2), row(number).ljust(number * 7)
    ),
    "offers": lambda number: post(
        "/sigmoid", row(number), "Connection: upgrade", "Upgrade: h2c"
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_all_are_answered_in_order(served: Served, kind: str) -> None:
    count = 300 if kind == "bodies of all lengths" else COUNT
    stream = b"".join(map(KINDS[kind], range(count)))
    with served.connect(60) as wire:
        sender = threading.Thread(target=wire.sendall, args=(stream,))
        sender.start()
        rest, got = b"", []
        for _ in range(count):
            head, body, rest = answer(wire, rest)
            assert head.startswith(b"HTTP/1.1 200 ")
            got.append(json.loads(body)["outputs"][0])
        sender.join()
    assert rest == b""
    assert got == sorted(got)
    assert len(set(got)) == count
    assert served.becomes_empty()


@pytest.mark.parametrize("kind", ["short", "long way"])
def test_who_stops_sending_behind_many_is_answered(served: Served, kind: str) -> None:
    stream = b"".join(map(KINDS[kind], range(COUNT)))
    with served.connect(60) as wire:

        def send() -> None:
            wire.sendall(stream)
            wire.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        words = b""
        while chunk := wire.recv(2**20):
            words += chunk
        sender.join()
    assert words.count(b"HTTP/1.1 200 ") == COUNT


@pytest.mark.parametrize("path", ["/predict", "/predict?output=logits"])
def test_who_has_gone_is_not_computed_for(served: Served, path: str) -> None:
    def rows() -> float:
        return served.metric("sigmoid_rows_total")

    request = post(path, json.dumps({"inputs": [0.5] * 30}).encode())
    before = rows()
    wire = served.connect()
    wire.setblocking(False)
    sent = 0
    with suppress(BlockingIOError):
        sent = wire.send(request * COUNT)
    wire.close()
    time.sleep(1)
    assert sent > COUNT / 4 * len(request)
    assert rows() - before < COUNT / 16
    assert served.becomes_empty()


def test_the_others_have_their_turn(served: Served) -> None:
    """However many requests one client has sent in a row."""
    stream = post("/sigmoid", GOOD) * 2000
    with served.connect(60) as wire:
        sender = threading.Thread(target=wire.sendall, args=(stream,))
        sender.start()
        reader = threading.Thread(target=_read_all, args=(wire,))
        reader.start()
        longest = 0.0
        with httpx.Client(base_url=served.client.base_url) as client:
            for _ in range(20):
                begun = time.perf_counter()
                assert client.get("/livez").status_code == 200
                longest = max(longest, time.perf_counter() - begun)
        sender.join()
        wire.shutdown(socket.SHUT_WR)
        reader.join()
    assert longest < 1


def _read_all(wire: socket.socket) -> None:
    with suppress(OSError):
        while wire.recv(2**20):
            pass


@pytest.mark.parametrize("message", [get("/openapi.json"), post("/sigmoid?", GOOD)])
def test_who_sends_and_never_reads_takes_little(served: Served, message: bytes) -> None:
    """It is not read on from, so that what it sends stays with the system."""
    before = resident()
    with served.connect(2) as wire:
        sent = 0
        with suppress(TimeoutError):
            while sent < 2**26:
                sent += wire.send(message * 100)
        assert sent < 2**25
        assert resident() - before < 2**25
    wait_until(served.becomes_empty)


def test_half_a_request_behind_others_is_waited_for(served: Served) -> None:
    """Its client has stopped sending: those before it are answered."""
    with served.connect(20) as wire:
        wire.sendall(post("/sigmoid?", GOOD) * 3 + post("/sigmoid?", GOOD)[:30])
        wire.shutdown(socket.SHUT_WR)
        words = b""
        while chunk := wire.recv(2**20):
            words += chunk
    assert words.count(b"HTTP/1.1 200 ") == 3
