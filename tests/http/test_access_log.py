"""`SIGMOID_ACCESS_LOG`: a line for each request, whichever way it took."""

import json
import re
import signal
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.test_http import PRETRAINED_FILE
from tests.running import TIMEOUT, serving, until_ready
from tests.server.test_connection import ROW

# method, path, body, status, code, route, model
ASKED: list[tuple[str, str, bytes, int, str, str, str]] = [
    ("POST", "/predict", ROW, 200, "ok", "/predict", "breast-cancer"),
    ("POST", "/predict?", ROW, 200, "ok", "/predict", "breast-cancer"),
    ("POST", "/sigmoid", b'{"inputs": 0}', 200, "ok", "/sigmoid", ""),
    ("POST", "/sigmoid", b'{"inputs": 0}' + b" " * 300_000, 200, "ok", "/sigmoid", ""),
    (
        "POST",
        "/models/digits/versions/1/predict",
        b'{"inputs": []}',
        422,
        "features",
        "/models/{name}/versions/{version}/predict",
        "digits",
    ),
    ("POST", "/predict", b"{", 400, "malformed_json", "/predict", "breast-cancer"),
    ("GET", "/livez", b"", 200, "ok", "/livez", ""),
    ("HEAD", "/models", b"", 200, "ok", "/models", ""),
    ("GET", "/models/digits", b"", 200, "ok", "/models/{name}", "digits"),
    ("GET", "/nothing", b"", 404, "route_not_found", "other", ""),
    ("DELETE", "/predict", b"", 405, "method_not_allowed", "/predict", ""),
]
_TEXT = re.compile(
    r"(?P<status>\d+) (?P<code>\w+) (?P<route>\S+?)"
    r"(, model (?P<model>\S+))?, (?P<seconds>\d+\.\d{6}) s"
)


def lines(log: Path, log_format: str) -> dict[str, dict[str, Any]]:
    """Read the lines of the log that are about requests, by their id."""
    found: dict[str, dict[str, Any]] = {}
    for line in log.read_text().splitlines():
        if log_format == "json":
            told = json.loads(line)
            request_id, message = told.get("request_id"), told["message"]
        else:
            told, request_id = {}, line.partition("[")[2].partition("]")[0]
            message = line.partition("] ")[2]
        if request_id in (None, "-"):
            continue
        assert request_id not in found, "a second line"
        match = _TEXT.fullmatch(message)
        assert match, line
        found[request_id] = told | match.groupdict(default="")
    return found


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_line_for_each_request(tmp_path: Path, log_format: str) -> None:
    log = tmp_path / "log"
    variables = {"SIGMOID_ACCESS_LOG": "true", "SIGMOID_LOG_FORMAT": log_format}
    with (
        serving(log, **variables) as (process, address),
        httpx.Client(base_url=address, timeout=TIMEOUT) as client,
    ):
        until_ready(client)
        for number, (method, path, body, status, *_) in enumerate(ASKED):
            headers = {"X-Request-ID": f"asked.{number}"}
            answered = client.request(method, path, content=body, headers=headers)
            assert answered.status_code == status
        port = client.base_url.port or 80
        with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
            wire.sendall(b"nonsense\r\n\r\n")
            assert wire.recv(4096).startswith(b"HTTP/1.1 400 ")
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 0
    found = lines(log, log_format)
    for number, (_, _, _, status, code, route, model) in enumerate(ASKED):
        told = found.pop(f"asked.{number}")
        assert (told["status"], told["code"]) == (str(status), code)
        assert (told["route"], told["model"]) == (route, model)
        assert 0 < float(told["seconds"]) < 10
    assert "malformed_request" in {told["code"] for told in found.values()}


def test_none_without_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        serving(log, PRETRAINED_FILE, SIGMOID_ACCESS_LOG="false") as (_, address),
        httpx.Client(base_url=address, timeout=TIMEOUT) as client,
    ):
        until_ready(client)
        before = log.read_text()
        for _ in range(3):
            assert client.post("/predict", content=ROW).status_code == 200
            assert client.get("/models").status_code == 200
        assert log.read_text() == before
