"""Connections that come all at once, and that come when there is no room."""

import os
import resource
import socket
from pathlib import Path

import httpx

from tests.process import TIMEOUT, serving, until_ready
from tests.test_connection import answer, post

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


def test_who_comes_when_there_is_no_room_is_answered_later(tmp_path: Path) -> None:
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
    assert "no connection can be taken in: too many open files" in text
    assert "traceback" not in text
