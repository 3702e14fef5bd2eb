"""Connections that come all at once, and that come when there is no room."""

import asyncio
import os
import resource
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from sigmoid_serve.sockets.acceptor import Acceptor
from sigmoid_serve.sockets.balance import Balance, new_counts
from sigmoid_serve.sockets.connection_limits import ConnectionLimits
from tests.running import TIMEOUT, serving, until_ready
from tests.server.test_connection import answer, post

REQUEST = post("/sigmoid", b'{"inputs": 0}')


def connect(url: httpx.URL) -> socket.socket:
    return socket.create_connection((url.host, url.port or 80), timeout=TIMEOUT)


def test_all_who_come_at_once_are_answered(client: httpx.Client) -> None:
    wires = [connect(client.base_url) for _ in range(300)]
    for wire in wires:
        wire.sendall(REQUEST)
    for wire in wires:
        assert answer(wire)[0].startswith(b"HTTP/1.1 200 OK\r\n")
        wire.close()


def test_connections_beyond_the_open_files_are_answered_later(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(log) as (process, address):
        with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
            until_ready(client)
        highest = max(map(int, os.listdir(f"/proc/{process.pid}/fd")))
        limit = highest + 6
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (limit, limit))
        wires = [connect(httpx.URL(address)) for _ in range(40)]
        for wire in wires:
            wire.sendall(REQUEST)
        # Each that has its answer makes room for another.
        for wire in wires:
            assert answer(wire)[0].startswith(b"HTTP/1.1 200 OK\r\n")
            wire.close()
    text = log.read_text().lower()
    assert "accept failed: too many open files" in text
    assert "traceback" not in text


@pytest.mark.skipif(sys.platform != "linux", reason="a filter is of Linux")
@pytest.mark.parametrize("is_locked", [False, True])
def test_no_new_connections_before_it_is_closed(
    is_locked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """If the kernel allows it; if not, that is logged."""

    async def end(listener: socket.socket) -> None:
        balance = Balance(new_counts(1), 0)
        acceptor = Acceptor(
            [listener],
            lambda _: asyncio.Protocol(),
            None,
            1,
            balance,
            ConnectionLimits(9),
        )
        acceptor.stop_new_connections()
        with socket.socket() as late:
            late.settimeout(0.3)
            if is_locked:
                late.connect(listener.getsockname())
            else:
                with pytest.raises(TimeoutError):
                    late.connect(listener.getsockname())
        acceptor.drain_backlog_and_close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        if is_locked:
            listener.setsockopt(socket.SOL_SOCKET, 44, 1)  # SO_LOCK_FILTER
        asyncio.run(end(listener))
    assert ("connections during shutdown may be reset" in caplog.text) is is_locked


def test_no_new_connections_at_a_path_before_it_is_closed(tmp_path: Path) -> None:
    """Connections in the backlog are accepted."""
    path = str(tmp_path / "s")
    let_in: list[object] = []

    class Closing(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            let_in.append(transport)
            transport.close()

    async def end(listener: socket.socket, early: list[socket.socket]) -> None:
        balance = Balance(new_counts(1), 0)
        acceptor = Acceptor(
            [listener], lambda _: Closing(), None, 1, balance, ConnectionLimits(1000)
        )
        for wire in early:
            wire.connect(path)
        acceptor.stop_new_connections()
        with (
            socket.socket(socket.AF_UNIX) as late,
            pytest.raises(ConnectionRefusedError),
        ):
            late.connect(path)
        await asyncio.sleep(0.1)
        assert len(let_in) == len(early)
        acceptor.drain_backlog_and_close()

    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as stack:
        listener.bind(path)
        early = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(100)]
        asyncio.run(end(listener, early))


def test_a_worker_that_shuts_down_never_has_the_fewest() -> None:
    """It may still have connections; no worker waits for it to accept more."""
    counts = new_counts(2)
    ending, other = Balance(counts, 0), Balance(counts, 1)
    ending.start()
    other.start()
    ending.stop()
    ending.opened()
    other.opened()
    assert not other.is_above_the_fewest()
    assert ending.is_above_the_fewest()
