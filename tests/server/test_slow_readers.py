"""Clients that do not read their answers: cut off in time, and in nobody's way."""

import json
import logging
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.server.server import Server
from sigmoid_serve.server.unread import Unread
from sigmoid_serve.sockets.listening import listen
from tests.admission.test_queue import serving as serving_inside
from tests.admission.test_queue import wait_until
from tests.conftest import serve
from tests.running import TIMEOUT, counted
from tests.server.test_connection import post

LIMIT = 1
LATEST = LIMIT + 6
# Its answer has 19 bytes for each, 11 MB.
COUNT = 9 * 2**16
LONG = b'{"dtype": "float64", "inputs": [' + b"5," * (COUNT - 1) + b"5]}"
SHORT = b'{"inputs": [' + b"5," * 3000 + b"5]}"
MANY = 2000


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


# What is sent, and how often in a row.
WAYS: dict[str, tuple[bytes, int]] = {
    "long": (post("/sigmoid", LONG), 1),
    "long, the last": (post("/sigmoid", LONG, "Connection: close"), 1),
    "long, binary": (post("/sigmoid", LONG, "Accept: application/x-npy"), 1),
    "several long": (post("/sigmoid", LONG), 3),
    "many short": (post("/sigmoid", SHORT), MANY),
    "many pages": (get("/openapi.json"), MANY),
    "many errors": (get("/" + "x" * 1000), 20 * MANY),
    "many errors of inference": (post("/sigmoid", b"[]"), 20 * MANY),
}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serve(Settings(write_seconds=LIMIT)) as client:
        yield client


@contextmanager
def connect(client: httpx.Client) -> Iterator[socket.socket]:
    """Connect with little room for what was not read."""
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.settimeout(TIMEOUT)
        wire.connect((client.base_url.host, client.base_url.port))
        yield wire


def send_all(wire: Any, message: bytes, times: int) -> None:
    """Send as much as the server takes."""
    with suppress(OSError):
        for _ in range(times):
            wire.sendall(message)


def seconds_until_cut(wire: socket.socket) -> float:
    begun = time.monotonic()
    poll = select.poll()
    poll.register(wire.fileno(), select.POLLHUP | select.POLLERR)
    assert poll.poll(1000 * TIMEOUT), "it is still connected"
    return time.monotonic() - begun


@pytest.mark.parametrize("way", WAYS)
def test_who_reads_nothing_is_cut_off(client: httpx.Client, way: str) -> None:
    cut = counted(client, "sigmoid_requests_cancelled_total", stage="write")
    with connect(client) as wire:
        send_all(wire, *WAYS[way])
        seconds_until_cut(wire)
    assert client.post("/sigmoid", content=b'{"inputs": 0}').json()["outputs"] == 0.5
    assert counted(client, "sigmoid_requests_cancelled_total", stage="write") == cut + 1
    assert counted(client, "sigmoid_inflight_elements") == 0


def test_who_reads_a_little_is_not(client: httpx.Client) -> None:
    with connect(client) as wire:
        wire.sendall(post("/sigmoid", LONG, "Connection: close"))
        words, begun = b"", time.monotonic()
        while time.monotonic() < begun + 4 * LIMIT:
            words += wire.recv(3000)
            time.sleep(LIMIT / 3)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
        while chunk := wire.recv(2**20):
            words += chunk
    answered = json.loads(words.partition(b"\r\n\r\n")[2])
    assert answered["shape"] == [COUNT]


def test_who_reads_late_but_in_time(client: httpx.Client) -> None:
    with connect(client) as wire:
        for _ in range(2):
            wire.sendall(post("/sigmoid", SHORT) * 20)
            time.sleep(0.7 * LIMIT)
            got = 0
            while got < 20:
                got += wire.recv(2**20).count(b"HTTP/1.1 200 ")
            time.sleep(0.1)
            wire.setblocking(False)
            with suppress(BlockingIOError):
                while wire.recv(2**20):
                    pass
            wire.settimeout(TIMEOUT)


def test_with_tls(tmp_path: Path) -> None:
    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "both"
    )
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    settings = Settings(write_seconds=LIMIT, tls_cert_file=tmp_path / "both")
    with serving_inside(settings) as served, ExitStack() as stack:
        wires = [stack.enter_context(connect(served.client)) for _ in range(3)]
        wrapped = [context.wrap_socket(wire) for wire in wires]
        wrapped[0].sendall(WAYS["long"][0])
        wrapped[1].sendall(WAYS["long, the last"][0])
        wrapped[2].settimeout(LATEST)
        send_all(wrapped[2], *WAYS["many short"])
        for wire in wrapped:
            seconds_until_cut(wire)
            wire.close()


@contextmanager
def serving_at(path: Path) -> Iterator[None]:
    settings = Settings(write_seconds=LIMIT, uds=path)
    server = Server(create_app(settings))
    listeners = listen(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": listeners})
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield
    finally:
        server.should_exit = True
        thread.join()


def test_at_a_path(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sigmoid_serve")
    path = tmp_path / "s"
    with serving_at(path):
        for way in ("long", "many short"):
            with socket.socket(socket.AF_UNIX) as wire:
                wire.settimeout(TIMEOUT)
                wire.connect(str(path))
                send_all(wire, *WAYS[way])
                seconds_until_cut(wire)
        told = "connection closed: client read nothing for 1 s (SIGMOID_WRITE_SECONDS)"
        wait_until(lambda: caplog.text.count(told) == 2)


def test_the_queue_is_free_for_others() -> None:
    """Once an answer is made, whatever its client does with it."""
    settings = Settings(max_elements=COUNT, max_queue_elements=2 * COUNT)
    with serving_inside(settings) as served, ExitStack() as stack:
        for _ in range(5):
            wire = stack.enter_context(connect(served.client))
            wire.sendall(WAYS["long"][0])
            wait_until(lambda: served.context.admission.elements > 0)
            wait_until(lambda: served.context.admission.elements == 0)
        answered = served.client.post("/sigmoid", content=LONG)
        assert answered.status_code == 200


class Reader:
    """A client, as far as what it has not read is counted."""

    def __init__(self, read_at: float) -> None:
        self.read_at = read_at
        self.why = ""

    def cut_off(self, why: str) -> None:
        self.why = why


def test_who_has_read_nothing_for_the_longest_time_makes_room() -> None:
    unread = Unread(2**25)
    assert unread.limit == 2**26
    slow, slower, new = (Reader(at) for at in (2, 1, 3))
    unread.hold(slow, 2**25)
    unread.hold(slower, 2**25)
    assert (slow.why, slower.why, unread.total) == ("", "", 2**26)
    unread.hold(new, 1)
    assert (slow.why, new.why, unread.total) == ("", "", 2**25 + 1)
    assert "not read" in slower.why
    unread.hold(new, 2**26 - 1)
    assert slow.why
    assert unread.total == 2**26
    unread.release(new)
    unread.release(new)
    assert unread.total == 0


def test_what_is_not_read_is_bounded_in_all() -> None:
    """Nine answers of 11 MB, of which 64 MiB are held."""
    settings = Settings(max_answer_bytes=2**25)
    message = post("/sigmoid", LONG)
    with serving_inside(settings) as served, ExitStack() as stack:
        wires = [stack.enter_context(connect(served.client)) for _ in range(9)]
        for wire in wires:
            wire.sendall(message)
            wait_until(lambda: served.context.admission.elements > 0)
            wait_until(lambda: served.context.admission.elements == 0)
            time.sleep(0.05)
        assert served.metric("sigmoid_requests_cancelled_total", stage="write") >= 2
        seconds_until_cut(wires[0])
        poll = select.poll()
        poll.register(wires[-1].fileno(), select.POLLHUP | select.POLLERR)
        assert not poll.poll(0)
