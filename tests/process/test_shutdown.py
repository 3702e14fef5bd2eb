"""Graceful shutdown: not ready at once, no accepted request lost, exit code 0."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from tests.process.test_shutdown_deadline import HALF_SENT, SPARE, connected, dead
from tests.process.test_workers import until
from tests.running import COMMAND, TIMEOUT, environment, serving, until_ready

BODY = json.dumps({"inputs": [0.5] * 30}).encode()


class Asking(threading.Thread):
    """A client that sends requests until it is refused, and notes their results."""

    def __init__(self, url: httpx.URL) -> None:
        super().__init__()
        self.url = url
        self.answered = self.closed = 0
        self.lost: list[tuple[object, float]] = []
        self.refused = 0.0

    def run(self) -> None:
        while not self.refused:
            connection = http.client.HTTPConnection(
                self.url.host, self.url.port, TIMEOUT
            )
            try:
                connection.connect()
            except ConnectionRefusedError:
                self.refused = monotonic()
                return
            try:
                self.ask(connection)
            except (OSError, http.client.HTTPException) as error:
                self.lost.append((error, monotonic()))
            finally:
                connection.close()

    def ask(self, connection: http.client.HTTPConnection) -> None:
        while True:
            connection.request("POST", "/predict", BODY)
            response = connection.getresponse()
            if response.status != 200 or not response.read():
                self.lost.append((response.status, monotonic()))
            self.answered += 1
            if response.getheader("connection") == "close":
                self.closed += 1
                return
            sleep(0.002)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_nothing_is_lost_and_slow_clients_do_not_delay_it(
    tmp_path: Path, workers: str
) -> None:
    log, drain = tmp_path / "log", 1
    variables = {**dead(), "SIGMOID_DRAIN_SECONDS": str(drain)}
    with (
        serving(log, SIGMOID_WORKERS=workers, **variables) as (process, address),
        ExitStack() as stack,
    ):
        with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
            until_ready(client)
        for message in HALF_SENT.values():
            stack.enter_context(connected(address, message))
        clients = [Asking(httpx.URL(address)) for _ in range(6)]
        for thread in clients:
            thread.start()
        until(lambda: all(client.answered for client in clients))
        told = monotonic()
        process.send_signal(signal.SIGTERM)
        with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
            while (ready := client.get("/readyz")).status_code != 503:
                assert monotonic() - told < TIMEOUT
            assert ready.json()["reasons"][0].startswith("draining")
            assert client.get("/livez").status_code == 200
            assert not any(client.refused for client in clients)
        assert process.wait(TIMEOUT) == 0
        assert drain <= monotonic() - told < drain + SPARE
        for thread in clients:
            thread.join()
    text = log.read_text()
    lost = [(error, when - told) for client in clients for error, when in client.lost]
    assert not lost, text
    assert min(client.closed for client in clients) > 0
    assert min(client.refused for client in clients) - told >= drain
    assert "Traceback" not in text
    assert "SIGMOID_SHUTDOWN_SECONDS" not in text


# The supervisor at SIGTERM is at the end of test_restarts.
@pytest.mark.parametrize(
    ("workers", "number"),
    [("1", signal.SIGTERM), ("1", signal.SIGINT), ("2", signal.SIGINT)],
)
def test_a_second_signal_exits_at_once(
    tmp_path: Path, workers: str, number: signal.Signals
) -> None:
    variables = {"SIGMOID_WORKERS": workers, "SIGMOID_DRAIN_SECONDS": "3000"}
    with serving(tmp_path / "log", **variables) as (process, address):
        with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
            until_ready(client)
        exits_at_the_second(process, address, number)


def exits_at_the_second(
    process: subprocess.Popen[str], address: str, number: signal.Signals
) -> None:
    """Send SIGTERM to a service that drains for long, and another signal."""
    with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
        process.send_signal(signal.SIGTERM)
        until(lambda: client.get("/readyz").status_code == 503)
    process.send_signal(number)
    assert process.wait(TIMEOUT) == 128 + number


def test_a_signal_during_the_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        log.open("w") as file,
        subprocess.Popen(
            [*COMMAND, "serve", "--port", "0"], stderr=file, env=environment()
        ) as process,
    ):
        end = monotonic() + TIMEOUT
        while not re.search("listening on", log.read_text()):
            assert monotonic() < end
            sleep(0.001)
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
    assert "Traceback" not in log.read_text()


def test_a_signal_to_process_1_while_it_imports(tmp_path: Path) -> None:
    """As in a container: the kernel brings it no signal that it does not handle."""
    (tmp_path / "typer.py").write_text(
        "import time; print('importing', flush=True); time.sleep(60)"
    )
    alone = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    if subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("no process may have a namespace of its own here")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    with subprocess.Popen(
        [*alone, *COMMAND, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        env=environment(PYTHONPATH=path),
    ) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"importing\n"
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        os.kill(int(children.read_text()), signal.SIGTERM)
        assert parent.wait(TIMEOUT) == 128 + signal.SIGTERM
