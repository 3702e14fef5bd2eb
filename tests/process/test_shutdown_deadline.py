"""Shutdown keeps its deadline, whatever clients do, and its exit code is 0."""

import asyncio
import json
import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import torch

from sigmoid_models.classifier import Classifier
from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.server.server import Server
from tests.process.test_workers import until
from tests.running import TIMEOUT, counted, serving, until_ready
from tests.server.test_connection import answer, post
from tests.server.test_slow_readers import LONG

DRAIN = 0.5
# Shutdown waits twice for new connections, gives clients that still send a second to
# read the response, and exits.
SPARE = 6
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
GOOD = b'{"inputs": 0}'


def dead(seconds: float = 60) -> dict[str, str]:
    """Make the settings of a server that waits for all clients but at shutdown."""
    names = ("HEADER", "BODY", "KEEP_ALIVE", "WRITE", "TIMEOUT")
    variables = {f"SIGMOID_{name}_SECONDS": "600" for name in names}
    return {
        **variables,
        "SIGMOID_DRAIN_SECONDS": str(DRAIN),
        "SIGMOID_SHUTDOWN_SECONDS": str(seconds),
        "SIGMOID_ACTIVATION": "sigmoid",
    }


@contextmanager
def connected(
    address: str, message: bytes, room: int | None = None
) -> Iterator[socket.socket]:
    url = httpx.URL(address)
    with socket.socket() as wire:
        if room:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        wire.settimeout(TIMEOUT)
        wire.connect((url.host, url.port))
        wire.sendall(message)
        yield wire


LARGE = b"POST /sigmoid HTTP/1.1\r\nHost: x\r\nContent-Length: 999999\r\n\r\n"
CHUNKED = b"POST /sigmoid HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
# What a client has sent when the drain is over.
HALF_SENT = {
    "nothing": b"",
    "one byte": b"G",
    "empty lines": b"\r\n\r\n",
    "half a header": LIVEZ[:20],
    "no body": post("/sigmoid", GOOD)[: -len(GOOD)],
    "half a short body": post("/sigmoid", GOOD)[:-1],
    "half a long body": LARGE + b'{"inputs": [1,',
    "no chunk": CHUNKED,
    "half a chunk": CHUNKED + b"ff\r\n{",
    "half a trailer": CHUNKED + b"d\r\n" + GOOD + b"\r\n0\r\nX: ",
    "waits for it": LARGE.replace(b"Host", b"Expect: 100-continue\r\nHost"),
    "body after its answer": LARGE.replace(b"/sigmoid", b"/nothing"),
    "body after a page": LARGE.replace(b"POST /sigmoid", b"GET /livez"),
    "idle": LIVEZ,
    "idle on another way": post("/sigmoid", GOOD),
    "half behind one": post("/sigmoid", GOOD) + LIVEZ[:20],
    "half behind another": LIVEZ + post("/sigmoid", GOOD)[:-1],
}


def wide_network(folder: Path) -> Path:
    """Save a network that takes seconds for `slow_request`."""
    torch.manual_seed(0)
    path = folder / "wide.pt"
    torch.save(Classifier(64, 8192, 10).state_dict(), path)
    return path


def slow_request(rows: int) -> bytes:
    row = "[" + ",".join(["0.5"] * 64) + "]"
    return post("/predict", f'{{"inputs": [{",".join([row] * rows)}]}}'.encode())


def test_requests_that_arrived_are_finished(tmp_path: Path) -> None:
    """And half a request behind one is not waited for, but what is sent at once is."""
    rows = 10_000
    with (
        serving(tmp_path / "log", wide_network(tmp_path), **dead()) as served,
        ExitStack() as stack,
    ):
        process, address = served
        message = slow_request(rows)
        short = post("/sigmoid", GOOD)
        with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
            until_ready(client)
            wires = [
                stack.enter_context(connected(address, message + rest))
                for rest in (b"", LIVEZ, LIVEZ[:9], short[:-1])
            ]
            half = stack.enter_context(connected(address, short[:-5]))
            until(lambda: have_arrived(client, len(wires), rows * 64))
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        half.sendall(short[-5:])
        is_late = False
        for wire in wires:
            head, body, rest = answer(wire)
            assert head.startswith(b"HTTP/1.1 200 ")
            assert json.loads(body)["shape"] == [rows, 10]
            is_late |= b"connection: close" in head
            if wire is wires[1]:
                head, body, rest = answer(wire, rest)
                assert json.loads(body) == {"status": "ok"}
            assert rest + wire.recv(1) == b""
        # Else all of them were finished before it was told to end.
        assert is_late
        head, body, _ = answer(half)
        assert b"connection: close" in head
        assert json.loads(body)["outputs"] == 0.5
        assert process.wait(TIMEOUT) == 0


def have_arrived(client: httpx.Client, requests: int, elements: int) -> bool:
    done = counted(client, "sigmoid_requests_total", route="/predict")
    held = counted(client, "sigmoid_inflight_elements")
    return held + elements * done >= elements * requests


@pytest.mark.parametrize(("workers", "drain"), [("1", 3000), ("2", DRAIN)])
def test_nothing_delays_it_beyond_its_deadline(
    tmp_path: Path, workers: str, drain: float
) -> None:
    """Neither clients that do not read, nor threads that compute, nor the drain."""
    log, seconds = tmp_path / "log", 2
    variables = {**dead(seconds), "SIGMOID_DRAIN_SECONDS": str(drain)}
    with (
        serving(log, wide_network(tmp_path), SIGMOID_WORKERS=workers, **variables) as (
            process,
            address,
        ),
        ExitStack() as stack,
    ):
        with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
            until_ready(client)
            message = post("/sigmoid", LONG)
            for _ in range(4):
                stack.enter_context(connected(address, message, 4096))
            time.sleep(1.5)
            message = slow_request(60_000)
            for _ in range(6):
                stack.enter_context(connected(address, message))
            time.sleep(0.5)
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            listened = listens(client)
        assert process.wait(TIMEOUT) == 0
        assert time.monotonic() - begun < seconds + SPARE
    assert listened > min(0.9, drain)
    said = re.findall(r"shutdown timed out .*", log.read_text())
    assert len(said) == int(workers)
    assert all("after 2 s (SIGMOID_SHUTDOWN_SECONDS)" in line for line in said)


def listens(client: httpx.Client) -> float:
    """Ask until it listens no more; return how long it did."""
    begun = time.monotonic()
    with suppress(httpx.TransportError):
        while time.monotonic() < begun + 60:
            assert client.get("/livez").status_code == 200
            time.sleep(0.02)
    return time.monotonic() - begun


@asynccontextmanager
async def served_here(tmp_path: Path) -> AsyncIterator[tuple[Server, str]]:
    """Serve on the event loop of a test."""
    path = str(tmp_path / "s")
    server = Server(create_app(Settings()))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        serving = asyncio.create_task(server.serve([listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield server, path
        finally:
            server.should_exit = True
            await serving


def test_a_request_that_waits_to_be_read_is_answered(tmp_path: Path) -> None:
    """The event loop may have had no turn to read it when shutdown begins."""

    async def ask() -> bytes:
        async with served_here(tmp_path) as (server, path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(LIVEZ)
            await reader.readuntil(b"}")
            (connection,) = server.server_state.connections
            writer.write(post("/sigmoid", GOOD))  # is sent at once
            server.drain(TIMEOUT)
            connection.shutdown()
            words = await reader.read()
            writer.close()
            return words

    words = asyncio.run(ask())
    assert words.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in words


def test_an_error_at_a_connection_closes_only_that_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: float) -> None:
        raise ZeroDivisionError

    async def ask() -> None:
        async with served_here(tmp_path) as (server, path):
            bad = await asyncio.open_unix_connection(path)
            bad[1].write(LIVEZ)
            await bad[0].readuntil(b"}")
            (connection,) = server.server_state.connections
            good = await asyncio.open_unix_connection(path)
            monkeypatch.setattr(connection, "close_if_timed_out", fail)
            assert await bad[0].read() == b""
            good[1].write(LIVEZ)
            await good[0].readuntil(b"}")
            for _, writer in (bad, good):
                writer.close()

    asyncio.run(ask())
    (line,) = (each for each in caplog.records if each.levelname == "ERROR")
    assert line.message == "unexpected error on a connection"
