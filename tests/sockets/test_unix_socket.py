"""A service on a Unix socket: who may replace it, and what happens to the file."""

import os
import re
import signal
import socket
import ssl
import stat
import subprocess
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import httpx
import pytest
import trustme

from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import SettingsError
from sigmoid_serve.server.server import Server
from sigmoid_serve.sockets.listening import addresses, listen
from tests.cli.test_cli import refused
from tests.process.test_workers import until
from tests.running import (
    COMMAND,
    TIMEOUT,
    environment,
    serving,
    settings_of,
    until_ready,
)
from tests.server.test_connection import answer, post

BODY = b'{"inputs": 0}'


def client_of(path: Path) -> httpx.Client:
    transport = httpx.HTTPTransport(uds=str(path))
    return httpx.Client(transport=transport, base_url="http://x", timeout=TIMEOUT)


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    assert process.wait(TIMEOUT) == 0


def refusal(**variables: str) -> str:
    """Return why it cannot listen; two that start at once show that as a command."""
    told = ""
    with warnings.catch_warnings():
        # A process that is refused ends: what it had opened is closed by that.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            listen(settings_of(**variables))
        except SettingsError as error:
            told = str(error)
    assert len(told.splitlines()) == 1
    return told


def test_over_tls(tmp_path: Path) -> None:
    path, certificate = tmp_path / "s", tmp_path / "certificate"
    authority = trustme.CA()
    pem = authority.issue_cert("service.example").private_key_and_cert_chain_pem
    pem.write_to_path(str(certificate))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    settings = settings_of(
        SIGMOID_UDS=str(path), SIGMOID_TLS_CERT_FILE=str(certificate)
    )
    server = Server(create_app(settings))
    with listen(settings)[0] as listener:
        assert addresses(settings, [listener]) == [f"unix:{path} (TLS)"]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            with socket.socket(socket.AF_UNIX) as plain:
                plain.settimeout(TIMEOUT)
                plain.connect(str(path))
                with context.wrap_socket(
                    plain, server_hostname="service.example"
                ) as wire:
                    wire.sendall(post("/sigmoid", BODY))
                    assert answer(wire)[0].startswith(b"HTTP/1.1 200 OK\r\n")
        finally:
            until(lambda: server.started)
            server.should_exit = True
            thread.join()


def test_the_file_is_that_of_the_last_server(tmp_path: Path) -> None:
    """What a dead server left is replaced, what the next one made stays.

    The path is odd, and yet one line of the log. The umask says who may connect; that
    it is changed does not keep the file from being removed.
    """
    path = tmp_path / "\x1b[2J\nlistening on x"
    with serving(tmp_path / "first", options=(), SIGMOID_UDS=str(path)) as (first, _):
        first.kill()
        first.wait(TIMEOUT)
    assert path.is_socket()
    log = tmp_path / "second"
    with serving(log, options=(), SIGMOID_UDS=str(path)) as (second, _):
        shown = rf"listening on unix:{tmp_path}/\x1b[2J\nlistening on x"
        assert shown in log.read_text()
        path.unlink()
        before = os.umask(0o017)
        try:
            third = serving(tmp_path / "third", options=(), SIGMOID_UDS=str(path))
            with third as (last, _):
                with client_of(path) as client:
                    until_ready(client)
                assert stat.S_IMODE(path.stat().st_mode) == 0o760
                path.chmod(0o666)
                end(second)
                with client_of(path) as client:
                    assert client.get("/livez").status_code == 200
                end(last)
        finally:
            os.umask(before)
    assert not path.exists()


def test_a_running_server_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with (
        listen(settings_of(SIGMOID_UDS=str(path)))[0] as listener,
        socket.socket(socket.AF_UNIX) as caller,
    ):
        told = refusal(SIGMOID_UDS=str(path))
        assert f"SIGMOID_UDS: expected a path where nobody listens, at {path}" in told
        assert path.is_socket()
        listener.accept()[0].close()  # that of who asked
        caller.connect(str(path))


def test_a_server_with_a_full_queue_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as caller:
        busy.bind(str(path))
        busy.listen(0)
        caller.connect(str(path))
        assert "where nobody listens" in refusal(SIGMOID_UDS=str(path))
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
    told = refusal(SIGMOID_UDS=str(path))
    assert f"SIGMOID_UDS: expected a path where nothing is, {path} is there" in told
    assert path.lstat() == before


def test_a_socket_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        told = refusal(SIGMOID_UDS=str(path))
    assert told.startswith(f"SIGMOID_UDS: cannot listen at {path}: ")
    assert path.is_socket()


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    told = refusal(SIGMOID_UDS=str(tmp_path / "nothing" / "s"))
    assert "no such file or directory" in told
    told = refusal(SIGMOID_UDS=str(tmp_path / ("s" * 200)))
    assert "path too long" in told
    assert len(told) < 400
    # A fault that is told before PyTorch is imported: this one is of the command.
    told = refused("serve", SIGMOID_PORT="1", SIGMOID_UDS=str(tmp_path / "s"))
    assert told.startswith("sigmoid-serve: SIGMOID_UDS and SIGMOID_PORT: expected one")
    assert list(tmp_path.iterdir()) == []


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


def ask(path: Path, outcomes: list[str]) -> None:
    """Ask on new connections until one is refused; list what became of each."""
    while not outcomes or outcomes[-1] == "answered":
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(TIMEOUT)
            try:
                wire.connect(str(path))
            except (ConnectionRefusedError, FileNotFoundError):
                outcomes.append("refused")
                return
            wire.sendall(post("/sigmoid", BODY, "Connection: close"))
            received = b""
            while chunk := wire.recv(2**16):
                received += chunk
            ok = received.startswith(b"HTTP/1.1 200 OK\r\n")
            outcomes.append("answered" if ok else repr(received))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_answers_there_and_nothing_is_lost_at_shutdown(
    tmp_path: Path, workers: str
) -> None:
    """All accepted connections are answered, until new ones are refused."""
    path, log = tmp_path / "a socket", tmp_path / "log"
    variables = {
        "SIGMOID_WORKERS": workers,
        "PORT": "1",
        "SIGMOID_DRAIN_SECONDS": "0.5",
    }
    with (
        serving(log, options=("--uds", str(path)), **variables) as (process, _),
        client_of(path) as client,
    ):
        until_ready(client)
        assert f"INFO [-] listening on unix:{path}\n" in log.read_text()
        for _ in range(3):
            response = client.post("/sigmoid", content=BODY)
            assert response.json()["outputs"] == 0.5
        assert client.get("/nothing").status_code == 404
        client.close()
        outcomes: list[list[str]] = [[] for _ in range(8)]
        with ThreadPoolExecutor(8) as threads:
            asking = [threads.submit(ask, path, mine) for mine in outcomes]
            until(lambda: all(len(mine) > 10 for mine in outcomes))
            began = monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT) == 0
            assert monotonic() - began < TIMEOUT / 2
    for one, mine in zip(asking, outcomes, strict=True):
        one.result()
        assert len(mine) > 11
        assert set(mine[:-1]) == {"answered"}
        assert mine[-1] == "refused"
    assert not path.exists()
    assert not re.search("Traceback|ERROR", log.read_text())
