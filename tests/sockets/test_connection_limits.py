"""Connection limits: beyond them probes are answered, and nothing else."""

import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
import trustme

from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.server.server import Server
from sigmoid_serve.sockets.connection_limits import (
    EXTRA_CONNECTIONS,
    ConnectionLimits,
    ConnectionSlot,
    client_of,
)
from sigmoid_serve.sockets.listening import listen
from tests.admission.test_queue import Served, wait_until
from tests.admission.test_queue import serving as serving_inside
from tests.process.test_workers import until
from tests.running import TIMEOUT, environment
from tests.server.test_connection import answer, post
from tests.server.test_slow_senders import last_words

MOST = 5
GOOD = b'{"inputs": 0}'
HEALTH = ("/livez", "/readyz", "/startupz")
SETTINGS = Settings(max_connections=MOST, keep_alive_seconds=600)


def get(path: str, method: str = "GET", host: str = "x") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


@contextmanager
def crowded(settings: Settings) -> Iterator[Served]:
    """Serve with as many idle connections as are allowed."""
    with serving_inside(settings) as served, ExitStack() as stack:
        for _ in range(MOST):
            wire = stack.enter_context(served.connect())
            wire.sendall(get("/livez"))
            assert answer(wire)[0].startswith(b"HTTP/1.1 200 ")
        yield served


@pytest.fixture(scope="module")
def full() -> Iterator[Served]:
    with crowded(SETTINGS) as served:
        yield served


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [*HEALTH, "/livez?x=1", "http://x/livez"])
def test_probes_are_answered(full: Served, path: str, method: str) -> None:
    with full.connect() as wire:
        wire.sendall(get(path, method))
        words = last_words(wire, 1)
    head, _, body = words.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in head.lower()
    assert bool(body) is (method == "GET")


OTHERS = {
    "short": post("/sigmoid", GOOD),
    "long": post("/sigmoid", GOOD.ljust(400_000)),
    "only a head": post("/sigmoid", GOOD)[: -len(GOOD)],
    "chunked": b"POST /sigmoid HTTP/1.1\r\nHost: x\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n",
    "waits for it": post("/sigmoid", GOOD, "Expect: 100-continue")[: -len(GOOD)],
    "row": post("/predict", b'{"inputs": [0]}'),
    "page": get("/docs"),
    "metrics": get("/metrics"),
    "limits": get("/limits"),
    "nothing there": get("/livez/"),
    "another method": post("/livez", b""),
    "several": get("/models") * 3,
    "upgrade": post("/sigmoid", GOOD, "Connection: upgrade", "Upgrade: h2c"),
    "old": b"POST /sigmoid HTTP/1.0\r\nContent-Length: 13\r\n\r\n" + GOOD,
}


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_else_is(full: Served, name: str) -> None:
    with full.connect() as wire:
        wire.sendall(OTHERS[name])
        head, body, rest = answer(wire)
        assert rest + last_words(wire, 2) == b""
    problem = json.loads(body)
    assert head.startswith(b"HTTP/1.1 503 ")
    assert (problem["status"], problem["code"]) == (503, "too_many_connections")
    assert "SIGMOID_MAX_CONNECTIONS allows" in problem["detail"]
    lines = head.lower().split(b"\r\n")
    assert b"connection: close" in lines
    assert b"retry-after: 1" in lines
    assert f"x-request-id: {problem['request_id']}".encode() in lines


def test_slow_extra_connections_have_little_time(full: Served) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(full.connect()) for _ in range(3)]
        begun = (b"", b"GET /li", get("/livez")[:-2])
        for wire, first in zip(wires, begun, strict=True):
            wire.sendall(first)
        end = time.monotonic() + 4
        for wire in wires:
            words = last_words(wire, end - time.monotonic())
            assert not words or words.startswith(b"HTTP/1.1 408 ")


def test_closed_connections_make_room() -> None:
    with crowded(SETTINGS) as served, served.connect() as wire:
        wire.sendall(OTHERS["short"])
        assert answer(wire)[0].startswith(b"HTTP/1.1 503 ")
    with serving_inside(SETTINGS) as served:
        for _ in range(4 * MOST):  # one after another
            with served.connect() as wire:
                wire.sendall(OTHERS["short"])
                assert answer(wire)[0].startswith(b"HTTP/1.1 200 ")
            time.sleep(0.02)
        assert (
            served.metric(
                "sigmoid_requests_rejected_total", reason="too_many_connections"
            )
            == 0
        )


def test_they_are_counted() -> None:
    settings = SETTINGS.model_copy(update={"max_connections": MOST + 1})
    with crowded(settings) as served:
        served.client.get("/livez")  # the last that is allowed
        for _ in range(3):
            with served.connect() as wire:
                wire.sendall(OTHERS["short"])
                answer(wire)
        counted = served.metric(
            "sigmoid_requests_rejected_total", reason="too_many_connections"
        )
        assert counted == 3


def test_probes_are_answered_among_many_idle_connections() -> None:
    """There are more extra connections than are kept."""
    with serving_inside(SETTINGS) as served, ExitStack() as stack:
        for number in range(MOST + 5 * EXTRA_CONNECTIONS):
            stack.enter_context(served.connect())
            if number % 20 == 0:
                with served.connect() as wire:
                    wire.sendall(get("/readyz"))
                    assert last_words(wire, 2).startswith(b"HTTP/1.1 200 ")


def test_nothing_is_kept_of_those_that_were_closed_for_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nor if they had no protocol yet; otherwise shutdown would wait for them."""
    settings = Settings(max_connections=MOST, shutdown_seconds=6)
    with serving_inside(settings) as served, ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(served.connect(TIMEOUT))
    assert "shutdown timed out" not in caplog.text


def test_handshakes_count(tmp_path: Path) -> None:
    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "both"
    )
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    settings = SETTINGS.model_copy(update={"tls_cert_file": tmp_path / "both"})

    def ask(message: bytes) -> bytes:
        with context.wrap_socket(served.connect()) as wire:
            wire.sendall(message)
            return wire.recv(2**16)

    with serving_inside(settings) as served, ExitStack() as stack:
        for _ in range(MOST + 3 * EXTRA_CONNECTIONS):
            stack.enter_context(served.connect())
        assert ask(get("/livez")).startswith(b"HTTP/1.1 200 ")
        assert ask(OTHERS["short"]).startswith(b"HTTP/1.1 503 ")
        stack.close()
        end = time.monotonic() + TIMEOUT
        while not ask(OTHERS["short"]).startswith(b"HTTP/1.1 200 "):
            assert time.monotonic() < end
            time.sleep(0.05)


def test_limit_of_each_client() -> None:
    """Two addresses of this machine."""
    settings = Settings(max_connections_per_client=2)
    with serving_inside(settings) as served, ExitStack() as stack:
        address = (served.client.base_url.host, served.client.base_url.port)

        def connect(source: str) -> socket.socket:
            return stack.enter_context(
                socket.create_connection(address, TIMEOUT, source_address=(source, 0))
            )

        def status(wire: socket.socket) -> bytes:
            wire.sendall(OTHERS["short"])
            return answer(wire)[0].split()[1]

        first = [connect("127.0.0.2") for _ in range(3)]
        assert [status(wire) for wire in first] == [b"200", b"200", b"503"]
        assert status(connect("127.0.0.3")) == b"200"
        first[0].close()
        wait_until(lambda: status(connect("127.0.0.2")) == b"200")
        over = connect("127.0.0.2")
        over.sendall(get("/livez"))
        assert last_words(over, 2).startswith(b"HTTP/1.1 200 ")
        over = connect("127.0.0.2")
        over.sendall(OTHERS["short"])
        assert b"SIGMOID_MAX_CONNECTIONS_PER_CLIENT allows" in last_words(over, 2)


def test_at_a_path_clients_are_not_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "s"
    settings = Settings(uds=path, max_connections=3, max_connections_per_client=1)
    server = Server(create_app(settings))
    with listen(settings)[0] as listener, ExitStack() as stack:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        stack.callback(thread.join)
        stack.callback(lambda: setattr(server, "should_exit", True))
        wait_until(lambda: server.started)
        statuses = []
        for _ in range(4):
            wire = stack.enter_context(socket.socket(socket.AF_UNIX))
            wire.settimeout(TIMEOUT)
            wire.connect(str(path))
            wire.sendall(OTHERS["short"])
            statuses.append(answer(wire)[0].split()[1])
        assert statuses == [b"200", b"200", b"200", b"503"]


LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))
sys.argv[1:] = ["serve", "--port", "0"]
runpy.run_module("sigmoid_serve", run_name="__main__")
"""

RAISED = """
import resource
from sigmoid_serve.sockets.connection_limits import allowed_connections
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 2000))
print(allowed_connections(1000), resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 1000)
"""


def test_fewer_open_files_are_fewer_connections(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        log.open("w") as file,
        subprocess.Popen(
            [sys.executable, "-c", LIMITED],
            stderr=file,
            env=environment(SIGMOID_MAX_CONNECTIONS="1000"),
        ) as process,
    ):
        try:
            until(lambda: ", ready" in log.read_text())
        finally:
            process.kill()
    said = "connections limited to 256 instead of 1000 (SIGMOID_MAX_CONNECTIONS)"
    assert said in log.read_text()


def test_the_soft_limit_of_open_files_is_raised() -> None:
    """Then nothing is said: there are as many connections as were asked for."""
    told = subprocess.run(
        [sys.executable, "-c", RAISED],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(),
        check=True,
    )
    assert told.stdout == "1000 True\n"


def test_all_that_were_asked_for_are_not_told_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with serving_inside(SETTINGS):
        assert "connections limited to" not in caplog.text


ADDRESSES = {
    ("127.0.0.1", 5): b"\x7f\0\0\1",
    ("::ffff:127.0.0.1", 5, 0, 0): b"\x7f\0\0\1",
    ("2001:db8::1", 5, 0, 0): bytes.fromhex("20010db800000000"),
    ("2001:db8:0:0:ffff::", 5, 0, 0): bytes.fromhex("20010db800000000"),
    ("fe80::1%lo", 5, 0, 1): bytes.fromhex("fe80000000000000"),
    "": None,
    b"\0x": None,
}


@pytest.mark.parametrize("address", ADDRESSES, ids=str)
def test_key_of_a_client(address: object) -> None:
    assert client_of(address) == ADDRESSES[address]  # type: ignore[index]


def test_the_oldest_is_closed_for_the_newest() -> None:
    limits = ConnectionLimits(1)
    closed: list[int] = []
    slots: list[ConnectionSlot] = []
    for number in range(EXTRA_CONNECTIONS + 3):
        slot = limits.acquire(("127.0.0.1", 1))
        slot.close = partial(closed.append, number)
        slots.append(slot)
    assert closed == [1, 2]
    assert [bool(slot.exceeded) for slot in slots] == [False] + [True] * (
        EXTRA_CONNECTIONS + 2
    )
    for slot in slots[:3] * 2:
        limits.release(slot)
    assert not limits.acquire(("127.0.0.1", 1)).exceeded
    assert limits.acquire(("127.0.0.1", 1)).exceeded
    assert closed == [1, 2, 3]
