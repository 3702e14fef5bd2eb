"""Graceful shutdown: not ready at once, no accepted request lost, exit code 0."""

import http.client
import json
import re
import signal
import socket
import subprocess
import threading
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest
import torch

from sigmoid_models.classifier import Classifier
from tests.running import BARE, COMMAND, TIMEOUT, environment, serving, until_ready
from tests.server.test_connection import answer, post

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
def test_nothing_is_lost_at_shutdown(tmp_path: Path, workers: str) -> None:
    log = tmp_path / "log"
    variables = {"SIGMOID_WORKERS": workers, "SIGMOID_DRAIN_SECONDS": "1"}
    with serving(log, **variables) as (process, address):
        with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
            until_ready(client)
        clients = [Asking(httpx.URL(address)) for _ in range(6)]
        for thread in clients:
            thread.start()
        sleep(0.5)
        told = monotonic()
        process.send_signal(signal.SIGTERM)
        with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
            while (ready := client.get("/readyz")).status_code != 503:
                assert monotonic() - told < TIMEOUT
            assert ready.json()["reasons"][0].startswith("draining")
            assert client.get("/livez").status_code == 200
            assert not any(client.refused for client in clients)
        assert process.wait(TIMEOUT) == 0
        for thread in clients:
            thread.join()
    lost = [(error, when - told) for client in clients for error, when in client.lost]
    assert not lost, log.read_text()
    assert min(client.answered for client in clients) > 0
    assert min(client.closed for client in clients) > 0
    assert min(client.refused for client in clients) - told >= 1


def test_accepted_requests_are_finished(tmp_path: Path) -> None:
    """Requests that take longer than the delay, and one that is half sent."""
    torch.manual_seed(0)
    wide = tmp_path / "wide.pt"
    torch.save(Classifier(64, 4096, 10).state_dict(), wide)
    rows = json.dumps({"inputs": [[0.5] * 64] * 4000}).encode()
    log = tmp_path / "log"
    variables = {"SIGMOID_DRAIN_SECONDS": "0.1", **BARE}
    with serving(log, wide, **variables) as (process, address):
        url = httpx.URL(address)
        with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
            until_ready(client)
        wires = [
            socket.create_connection((url.host, url.port or 80), TIMEOUT)
            for _ in range(5)
        ]
        *whole, half = wires
        for wire in whole:
            wire.sendall(post("/predict", rows))
        short = post("/sigmoid", b'{"inputs": 0}')
        half.sendall(short[:-5])
        sleep(0.2)
        process.send_signal(signal.SIGINT)
        sleep(0.1)
        half.sendall(short[-5:])
        for wire in whole:
            head, body, _ = answer(wire)
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert json.loads(body)["shape"] == [4000, 10]
        head, body, _ = answer(half)
        assert b"connection: close" in head
        assert json.loads(body)["outputs"] == 0.5
        assert process.wait(TIMEOUT) == 0
        for wire in wires:
            wire.close()


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_exits_at_once(
    tmp_path: Path, workers: str, number: signal.Signals
) -> None:
    variables = {"SIGMOID_WORKERS": workers, "SIGMOID_DRAIN_SECONDS": "3000"}
    with serving(tmp_path / "log", **variables) as (process, address):
        with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
            until_ready(client)
            process.send_signal(signal.SIGTERM)
            while client.get("/readyz").status_code != 503:
                sleep(0.01)
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
