"""Answers that come before the body was read: whoever writes first can read them."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urljoin

import httpx
import pytest
import requests

from sigmoid_serve.configuration.settings import Settings
from tests.admission.test_queue import Served, serving
from tests.http.test_keys import ADMIN, bearer, line
from tests.server.test_connection import answer

LIMIT = 10_000
JSON = {"Content-Type": "application/json"}
# path, headers, status
EARLY: dict[str, tuple[str, dict[str, str], int]] = {
    "too large": ("/sigmoid", JSON | bearer(ADMIN), 413),
    "no model": ("/models/none/predict", JSON | bearer(ADMIN), 404),
    "no route": ("/nothing", JSON | bearer(ADMIN), 404),
    "no key": ("/sigmoid", JSON, 401),
    "other type": ("/sigmoid", {"Content-Type": "text/csv"} | bearer(ADMIN), 415),
    "other accept": ("/sigmoid", JSON | {"Accept": "text/html"} | bearer(ADMIN), 406),
    "other method": ("/livez", bearer(ADMIN), 405),
}
BODY = b'{"inputs":[' + b"1," * 8_000_000 + b"1]}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    path.write_text(line(ADMIN))
    settings = Settings(max_body_bytes=LIMIT, body_seconds=2, api_keys_file=path)
    with serving(settings) as served:
        served.client.headers.update(bearer(ADMIN))
        yield served


def by_urllib(url: str, headers: dict[str, str]) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(url, BODY, headers))
    with caught.value as got:
        assert json.loads(got.read())["status"] == got.code
    return caught.value.code


def by_requests(url: str, headers: dict[str, str]) -> int:
    with requests.Session() as session:
        got = session.post(url, data=BODY, headers=headers)
        assert got.json()["status"] == got.status_code
        # The session goes on, on this connection or another.
        assert session.get(urljoin(url, "/livez")).json() == {"status": "ok"}
        return got.status_code


def by_httpx(url: str, headers: dict[str, str]) -> int:
    got = httpx.post(url, content=BODY, headers=headers, timeout=20)
    assert got.json()["status"] == got.status_code
    return got.status_code


def by_http_client(url: str, headers: dict[str, str]) -> int:
    """It writes all before it reads, in chunks."""
    parts = urllib.request.Request(url)
    connection = http.client.HTTPConnection(parts.host, timeout=20)
    pieces = (BODY[start : start + 2**16] for start in range(0, len(BODY), 2**16))
    connection.request(
        "POST", parts.selector, body=pieces, headers=headers, encode_chunked=True
    )
    with connection.getresponse() as got:
        assert json.loads(got.read())["status"] == got.status
        status: int = got.status
    connection.close()
    return status


def by_curl(url: str, headers: dict[str, str]) -> int:
    lines = [
        part for name, value in headers.items() for part in ("-H", f"{name}: {value}")
    ]
    done = subprocess.run(
        ["curl", "-s", "-w", "\n%{http_code}", *lines, "--data-binary", "@-", url],
        input=BODY,
        capture_output=True,
        timeout=30,
        check=True,
    )
    return int(done.stdout.rpartition(b"\n")[2])


CLIENTS: dict[str, Callable[[str, dict[str, str]], int]] = {
    "urllib": by_urllib,
    "requests": by_requests,
    "httpx": by_httpx,
    "http.client": by_http_client,
    "curl": by_curl,
}


@pytest.mark.parametrize("name", EARLY)
@pytest.mark.parametrize("library", CLIENTS)
def test_clients_see_the_answer(served: Served, library: str, name: str) -> None:
    if library == "curl" and not shutil.which("curl") and "CI" not in os.environ:
        pytest.skip("there is no curl")
    path, headers, status = EARLY[name]
    url = f"http://127.0.0.1:{served.client.base_url.port}{path}"
    assert CLIENTS[library](url, headers) == status
    assert served.becomes_empty()


@pytest.mark.parametrize("name", EARLY)
def test_a_short_rest_costs_no_connection(served: Served, name: str) -> None:
    """Many clients send head and body one after the other."""
    path, headers, status = EARLY[name]
    body = BODY[: LIMIT + 1] if status == 413 else b'{"inputs": 0}'
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(
        [f"POST {path} HTTP/1.1", f"Content-Length: {len(body)}", "Host: x", *lines]
    )
    with served.connect() as wire:
        for _ in range(3):
            wire.sendall(head.encode() + b"\r\n\r\n")
            sleep(0.05)
            wire.sendall(body)
            got, _, rest = answer(wire)
            assert got.startswith(b"HTTP/1.1 %d " % status)
            assert b"connection: close" not in got
            assert rest == b""


def flood(wire: socket.socket, seconds: float, pause: float = 0) -> tuple[int, float]:
    """Send on and on; return how much went, and how long it took to be cut off."""
    began, sent = monotonic(), 0
    with suppress(OSError):
        while monotonic() - began < seconds:
            sent += wire.send(b" " * 2**16 if not pause else b" ")
            sleep(pause)
    return sent, monotonic() - began


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 99999999999", b"Transfer-Encoding: chunked"]
)
def test_who_goes_on_is_cut_off_after_so_many_bytes(
    served: Served, framing: bytes
) -> None:
    with served.connect() as wire:
        key = f"Authorization: Bearer {ADMIN}\r\n".encode()
        wire.sendall(
            b"POST /nothing HTTP/1.1\r\nHost: x\r\n" + key + framing + b"\r\n\r\n"
        )
        if b"chunked" in framing:
            wire.sendall(b"fffffffff\r\n")
        sent, seconds = flood(wire, 20)
    assert 2**26 <= sent < 2**28
    assert seconds < 20
    assert served.client.get("/models").status_code == 200


def test_who_goes_on_is_cut_off_after_so_long(served: Served) -> None:
    with served.connect() as wire:
        key = f"Authorization: Bearer {ADMIN}\r\n".encode()
        wire.sendall(
            b"POST /nothing HTTP/1.1\r\nHost: x\r\n"
            + key
            + b"Content-Length: 999999\r\n\r\n"
        )
        head, _, rest = answer(wire)
        assert b"connection: close" in head
        # The server has said all that it will.
        assert rest + wire.recv(1) == b""
        _, seconds = flood(wire, 8, pause=0.05)
    assert 1.5 <= seconds <= 4


def test_the_connection_closes_once_the_body_has_come(served: Served) -> None:
    with served.connect() as wire:
        key = f"Authorization: Bearer {ADMIN}\r\n".encode()
        head = (
            b"POST /nothing HTTP/1.1\r\nHost: x\r\n"
            + key
            + b"Content-Length: 300000\r\n\r\n"
        )
        wire.sendall(head)
        answer(wire)
        before = monotonic()
        wire.sendall(bytes(300_000) + b"GET /models HTTP/1.1\r\nHost: x\r\n\r\n")
        # Nothing after the last answer is answered.
        assert wire.recv(1) == b""
        while monotonic() - before < 1:
            try:
                wire.sendall(b"x")
            except OSError:
                break
            sleep(0.01)
        assert monotonic() - before < 1


def test_who_was_told_to_wait_need_not_send(served: Served) -> None:
    """The next request would be taken for the body, so the connection ends."""
    with served.connect() as wire:
        wire.sendall(
            b"POST /sigmoid HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Authorization: Bearer x\r\nContent-Length: 13\r\n\r\n"
        )
        head, _, rest = answer(wire)
        assert head.startswith(b"HTTP/1.1 401 ")
        assert b"connection: close" in head
        assert rest + wire.recv(1) == b""


def test_others_are_answered_meanwhile(served: Served, tmp_path: Path) -> None:
    over = threading.Event()

    def lot() -> None:
        url = f"http://127.0.0.1:{served.client.base_url.port}/sigmoid"
        for _ in range(5):
            assert by_urllib(url, EARLY["too large"][1]) == 413
        over.set()

    thread = threading.Thread(target=lot)
    thread.start()
    asked = 0
    while not over.is_set():
        assert served.client.post("/sigmoid", json={"inputs": 0}).status_code == 200
        asked += 1
    thread.join()
    assert asked >= 5
