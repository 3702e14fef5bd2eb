"""A service on a Unix socket: who may replace it, and what happens to the file."""

import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest
import trustme

from tests.cli.test_cli import refused
from tests.process.test_workers import until
from tests.running import COMMAND, TIMEOUT, environment, serving, until_ready
from tests.server.test_connection import answer, post

BODY = b'{"inputs": 0}'


def client_of(path: Path) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(path))
    return httpx.Client(transport=transport, base_url="http://x", timeout=TIMEOUT)


@contextmanager
def serving_at(
    path: Path, log: Path, **variables: str
) -> Iterator[subprocess.Popen[str]]:
    with serving(log, options=(), SIGMOID_UDS=str(path), **variables) as served:
        process, address = served
        assert address == f"unix:{path}"
        with client_of(path) as client:
            until_ready(client)
        yield process


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    assert process.wait(TIMEOUT) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_answers_there(tmp_path: Path, workers: str) -> None:
    path, log = tmp_path / "a socket", tmp_path / "log"
    with (
        serving(
            log, options=("--uds", str(path)), SIGMOID_WORKERS=workers, PORT="1"
        ) as (process, _),
        client_of(path) as client,
    ):
        until_ready(client)
        assert f"INFO [-] listening on unix:{path}\n" in log.read_text()
        for _ in range(3):
            response = client.post("/sigmoid", content=BODY)
            assert response.json()["outputs"] == 0.5
        assert client.get("/nothing").status_code == 404
        end(process)
    assert not path.exists()
    assert "Traceback" not in log.read_text()


def test_over_tls(tmp_path: Path) -> None:
    path, log, certificate = (tmp_path / name for name in ("s", "log", "certificate"))
    authority = trustme.CA()
    pem = authority.issue_cert("service.example").private_key_and_cert_chain_pem
    pem.write_to_path(str(certificate))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with serving(
        log,
        options=(),
        SIGMOID_UDS=str(path),
        SIGMOID_TLS_CERT_FILE=str(certificate),
    ) as (process, _):
        assert f"listening on unix:{path} (TLS)\n" in log.read_text()
        with socket.socket(socket.AF_UNIX) as plain:
            plain.connect(str(path))
            with context.wrap_socket(plain, server_hostname="service.example") as wire:
                wire.sendall(post("/sigmoid", BODY))
                assert answer(wire)[0].startswith(b"HTTP/1.1 200 OK\r\n")
        end(process)
    assert not path.exists()


def test_what_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with serving_at(path, tmp_path / "first") as process:
        process.kill()
        process.wait(TIMEOUT)
    assert path.is_socket()
    with serving_at(path, tmp_path / "second") as process:
        end(process)
    assert not path.exists()


def test_a_running_server_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with serving_at(path, tmp_path / "log"), client_of(path) as client:
        told = refused("serve", SIGMOID_UDS=str(path))
        assert f"SIGMOID_UDS: expected a path where nobody listens, at {path}" in told
        assert client.get("/livez").status_code == 200
        assert path.is_socket()


def test_a_server_with_a_full_queue_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as caller:
        busy.bind(str(path))
        busy.listen(0)
        caller.connect(str(path))
        assert "where nobody listens" in refused("serve", SIGMOID_UDS=str(path))
    assert path.is_socket()


@pytest.mark.parametrize("kind", ["file", "folder", "link", "lost link", "fifo"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "s"
    if kind == "file":
        path.write_text("kept")
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        (tmp_path / "file").write_text("kept")
        path.symlink_to(tmp_path / ("file" if kind == "link" else "nothing"))
    before = path.lstat()
    told = refused("serve", SIGMOID_UDS=str(path))
    assert f"SIGMOID_UDS: expected a path where nothing is, {path} is there" in told
    assert path.lstat() == before


def test_a_socket_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        told = refused("serve", SIGMOID_UDS=str(path))
    assert told.startswith(f"sigmoid-serve: SIGMOID_UDS: cannot listen at {path}: ")
    assert path.is_socket()


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    told = refused("serve", SIGMOID_UDS=str(tmp_path / "nothing" / "s"))
    assert "no such file or directory" in told
    told = refused("serve", SIGMOID_UDS=str(tmp_path / ("s" * 200)))
    assert "path too long" in told
    assert len(told) < 400
    told = refused("serve", SIGMOID_PORT="1", SIGMOID_UDS=str(tmp_path / "s"))
    assert told.startswith("sigmoid-serve: SIGMOID_UDS and SIGMOID_PORT: expected one")
    assert list(tmp_path.iterdir()) == []


def test_the_file_of_the_next_server_stays(tmp_path: Path) -> None:
    """A server that started after the first closed, or lost its file, keeps its own."""
    path = tmp_path / "s"
    with serving_at(path, tmp_path / "first") as first:
        path.unlink()
        with serving_at(path, tmp_path / "second") as second:
            end(first)
            with client_of(path) as client:
                assert client.get("/livez").status_code == 200
            end(second)
    assert not path.exists()


def test_two_servers_that_start_at_once(tmp_path: Path) -> None:
    """One listens, and the other fails with the reason."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    logs = [tmp_path / name for name in ("one", "two")]
    processes = []
    for log in logs:
        with log.open("w") as file:
            processes.append(
                subprocess.Popen(
                    [*COMMAND, "serve"],
                    stderr=file,
                    env=environment(SIGMOID_UDS=str(path)),
                )
            )
    try:
        until(lambda: any(process.poll() == 1 for process in processes))
        (living,) = (process for process in processes if process.poll() is None)
        with client_of(path) as client:
            until_ready(client)
        living.send_signal(signal.SIGINT)
        assert living.wait(TIMEOUT) == 0
    finally:
        for process in processes:
            process.kill()
            process.wait(TIMEOUT)
    told = "".join(log.read_text() for log in logs)
    assert told.count("listening on unix:") == 1
    assert told.count("expected a path where nobody listens") == 1


def test_the_umask_says_who_may_connect(tmp_path: Path) -> None:
    path = tmp_path / "s"
    before = os.umask(0o017)
    try:
        with serving_at(path, tmp_path / "log") as process:
            assert stat.S_IMODE(path.stat().st_mode) == 0o760
            path.chmod(0o666)
            end(process)
    finally:
        os.umask(before)
    assert not path.exists()


def test_an_odd_path_is_one_line_of_the_log(tmp_path: Path) -> None:
    path, log = tmp_path / "\x1b[2J\nlistening on x", tmp_path / "log"
    with (
        serving(log, options=(), SIGMOID_UDS=str(path)) as (process, _),
        client_of(path) as client,
    ):
        until_ready(client)
        end(process)
    assert rf"listening on unix:{tmp_path}/\x1b[2J\nlistening on x" in log.read_text()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_nothing_is_lost_at_shutdown(tmp_path: Path, workers: str) -> None:
    """All accepted connections are answered, until new ones are refused."""
    path = tmp_path / "s"
    outcomes: list[list[str]] = []

    def ask() -> None:
        mine: list[str] = []
        outcomes.append(mine)
        while not mine or mine[-1] == "answered":
            with socket.socket(socket.AF_UNIX) as wire:
                wire.settimeout(TIMEOUT)
                try:
                    wire.connect(str(path))
                except (ConnectionRefusedError, FileNotFoundError):
                    mine.append("refused")
                    return
                wire.sendall(post("/sigmoid", BODY, "Connection: close"))
                received = b""
                while chunk := wire.recv(2**16):
                    received += chunk
                ok = received.startswith(b"HTTP/1.1 200 OK\r\n")
                mine.append("answered" if ok else repr(received))

    with serving_at(
        path, tmp_path / "log", SIGMOID_WORKERS=workers, SIGMOID_DRAIN_SECONDS="0.5"
    ) as process:
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        sleep(0.5)
        began = monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
        assert monotonic() - began < TIMEOUT / 2
        for thread in threads:
            thread.join()
    assert len(outcomes) == 8
    for mine in outcomes:
        assert len(mine) > 10
        assert set(mine[:-1]) == {"answered"}
        assert mine[-1] == "refused"
    assert not re.search("Traceback|ERROR", (tmp_path / "log").read_text())
