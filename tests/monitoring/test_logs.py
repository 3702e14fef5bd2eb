"""The log of a real process, and what hostile requests make of it and of answers."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any, NamedTuple

import httpx
import pytest

from tests.http.test_keys import ADMIN, ROW, STRANGER, bearer, line, replace, soon
from tests.running import TIMEOUT, environment, serving, until_ready
from tests.server.test_connection import answer, post

_TEXT = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?P<level>INFO|WARNING|ERROR) "
    r"\[(?P<request_id>[A-Za-z0-9._-]{1,128})\] (?P<message>.+)"
)

# All that a log of these requests may say.
_MESSAGES = re.compile(
    r"device: .*|threads: \d.*|listening on http://127\.0\.0\.1:\d+"
    r"|model [a-z-]+ version 1: .*, ready"
    r"|(Started|Finished) server process \[\d+\]|Shutting down|shutting down in \S+ s"
    r"|Waiting for [a-z ]+\. \(CTRL\+C to force quit\)"
    r"|API keys reloaded: \d"
    r"|reload of API keys failed, keeping the current ones: \S+: line \d is not "
    r"`name sha256-hex \[admin\]`; .*"
    r"|([45]\d\d [a-z_]+|client disconnected \([a-z]+\))"
    r" (/[a-z./{}]+|other)(, model [a-z-]+)?"
)

FORGED = "2026-01-01T00:00:00.000Z ERROR [evil] forged"
ID = "a-Z_0.9"

_ROW_BODY = json.dumps(ROW).encode()


class Line(NamedTuple):
    """Of the log."""

    level: str
    request_id: str
    message: str


def read_text(log: str) -> list[Line]:
    lines = []
    for text in log.splitlines():
        match = _TEXT.fullmatch(text)
        assert match, text
        lines.append(Line(**match.groupdict()))
    return lines


def read_json(log: str) -> list[Line]:
    lines = []
    for text in log.splitlines():
        members = json.loads(text)
        told = {name: members.pop(name) for name in Line._fields}
        lines.append(Line(**told))
        del members["time"]
        if "route" in members:
            # The same is said in words.
            status, route = members.pop("status", ""), members.pop("route")
            model = members.pop("model", None)
            place = f"{route}, model {model}" if model else route
            assert told["message"].startswith(f"{status}")
            assert told["message"].endswith(f" {place}")
        assert members == {}, text
    return lines


class Logged(NamedTuple):
    """A process that logs to a file."""

    path: Path
    client: httpx.Client
    read: Callable[[str], list[Line]]


@pytest.fixture(scope="module", params=[("text", read_text), ("json", read_json)])
def logged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Logged]:
    """Runs a process that asks for keys, until it ends in good order."""
    name, read = request.param
    folder = tmp_path_factory.mktemp("log")
    path, keys = folder / "log", folder / "keys.txt"
    keys.write_text(line(ADMIN))
    variables = {"SIGMOID_LOG_FORMAT": name, "SIGMOID_API_KEYS_FILE": str(keys)}
    with serving(path, **variables, SIGMOID_MAX_BODY_BYTES="100000") as served:
        process, address = served
        with httpx.Client(
            base_url=address, timeout=TIMEOUT, headers=bearer(ADMIN)
        ) as client:
            until_ready(client)
            yield Logged(path, client, read)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) == 0
    lines = check(path, read)
    assert any(x.message.startswith("Finished server process") for x in lines)


def check(path: Path, read: Callable[[str], list[Line]]) -> list[Line]:
    """Read a log, of which each line must be one that is known."""
    text = path.read_bytes().decode("ascii")
    text = text[: text.rfind("\n") + 1]  # the last line may be about to be written
    assert "\x1b" not in text
    assert "\r" not in text
    assert "forged" not in text
    for key in (ADMIN, STRANGER):
        assert key not in text
    lines = read(text)
    for one in lines:
        assert _MESSAGES.fullmatch(one.message), one
    return lines


def exchange(client: httpx.Client, request: bytes) -> tuple[bytes, bytes]:
    """Send bytes; return head and body of the first answer.

    Nothing comes with it, unless what was sent goes on as no request at all.
    """
    address = (client.base_url.host, client.base_url.port or 80)
    with socket.create_connection(address, timeout=20) as wire:
        wire.sendall(request)
        head, body, rest = answer(wire)
    if rest:
        assert rest.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"forged" not in rest
    return head, body


def check_head(head: bytes) -> str:
    """Check that a head is whole and has no header that is not ours."""
    first, *lines = head.split(b"\r\n")
    assert re.fullmatch(rb"HTTP/1\.1 [2345]\d\d [A-Za-z ]+", first)
    names = [one.partition(b": ")[0] for one in lines]
    assert len(names) == len(set(names))
    assert set(names) <= {
        b"allow",
        b"connection",
        b"content-length",
        b"content-type",
        b"date",
        b"keep-alive",
        b"server-timing",
        b"www-authenticate",
        b"x-request-id",
    }
    assert b"\n" not in head.replace(b"\r\n", b"")
    assert b"injected" not in head.lower()
    found = re.search(rb"\r\nx-request-id: ([A-Za-z0-9._-]{1,128})(\r\n|$)", head)
    return found[1].decode() if found else ""


_VALUES = [
    value.replace("F", FORGED).encode("latin-1")
    for value in (
        "a\r\nX-Injected: 1\r\n\r\nF",
        "a\n\nF",
        "a\nF",
        "a\rF",
        "a\r\n F",
        "a\r\n\tF",
        "a\tF",
        "a\x00F",
        "a\x0bF",
        "a\x85F",
        "\x1b[2K\x1b[1GF",
        "é\xff F",
        "%0d%0aX-Injected:%201%0d%0aF",
        "\\r\\nX-Injected: 1",
        '"}\\n{"level":"ERROR"}',
        "%(message)s{0}%s%n",
        "../../etc/passwd",
        "a b",
        "a,b",
        "a" * 129,
        "a" * 60_000,
    )
]


@pytest.mark.parametrize("value", _VALUES, ids=range(len(_VALUES)))
@pytest.mark.parametrize("name", [b"X-Request-ID", b"Authorization", b"Accept"])
def test_values_of_headers(logged: Logged, name: bytes, value: bytes) -> None:
    header = b"%b: %b\r\n" % (name, value)
    if name != b"Authorization":
        header = f"Authorization: Bearer {ADMIN}\r\n".encode() + header
    for start in (
        post("/predict", _ROW_BODY),
        post("/sigmoid", b"{"),
        b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        request = start.replace(b"Host: x\r\n", b"Host: x\r\n" + header)
        head, body = exchange(logged.client, request)
        assert check_head(head) != value.decode("latin-1")
        assert body.decode().isprintable()
        if name != b"Accept":  # an answer shows what its sender would have liked
            assert b"forged" not in body
    check(logged.path, logged.read)


@pytest.mark.parametrize(
    "path",
    [
        "/%0a{}",
        "/%0d%0aX-Injected:%201%0d%0a%0d%0a{}",
        "/models/%0a{}",
        "/models/%0d%0a{}/predict",
        "/models/x%00%1b%5b2J%e2%80%a8%c2%85{}/predict",
        "/models/digits/versions/%0a{}/predict",
        "/models/%0a{}/reload",
        "/predict?%0a{}=%0d%0aX-Injected:%201",
        "/predict?output=%0a{}",
        "/docs/assets/%0d%0a{}",
        "/%ff%fe%ed%a0%80{}",
        "/" + "%0a{}" * 500,
    ],
)
def test_paths(logged: Logged, path: str) -> None:
    target = path.replace(
        "{}", FORGED.replace(" ", "%20").replace("forged", "f%6frged")
    )
    key = f"Authorization: Bearer {ADMIN}"
    for request in (
        post(target, _ROW_BODY, key, f"X-Request-ID: {ID}"),
        post(target, b"", key, f"X-Request-ID: {ID}").replace(b"POST", b"GET", 1),
    ):
        head, body = exchange(logged.client, request)
        assert check_head(head) == ID
        problem: dict[str, Any] = json.loads(body)
        assert problem["code"] != "internal_error"
        assert problem["detail"].isprintable()
        assert len(problem["detail"]) < 400
    check(logged.path, logged.read)


@pytest.mark.parametrize(
    "body",
    [
        b'{"inputs": "\\n%b"}' % FORGED.encode(),
        b'{"inputs": [0], "\\r\\nX-Injected: 1\\u2028%b": 1}' % FORGED.encode(),
        b'{"inputs": [0], "dtype": "\\n%b"}' % FORGED.encode(),
        b"\n%b\r\n" % FORGED.encode(),
    ],
)
def test_bodies(logged: Logged, body: bytes) -> None:
    for path in ("/predict", "/sigmoid"):
        key = f"Authorization: Bearer {ADMIN}"
        head, told = exchange(logged.client, post(path, body, key))
        check_head(head)
        assert json.loads(told)["detail"].isprintable()
    check(logged.path, logged.read)


def test_refused_requests_are_logged_under_their_id(logged: Logged) -> None:
    client = logged.client
    unknown = bearer(STRANGER)
    large = b'{"inputs": ' + b" " * 100_000 + b"0}"
    cases: tuple[tuple[str, str, dict[str, Any], str], ...] = (
        ("POST", "/predict", {"headers": unknown}, "401 key_unknown /predict"),
        ("GET", "/models", {"headers": unknown}, "401 key_unknown other"),
        ("GET", "/nothing", {}, "404 route_not_found other"),
        ("GET", "/models/nobody", {}, "404 model_not_found /models/{name}"),
        ("DELETE", "/models", {}, "405 method_not_allowed /models"),
        ("POST", "/sigmoid", {"content": b"{"}, "400 malformed_json /sigmoid"),
        ("POST", "/sigmoid", {"content": large}, "413 body_too_large /sigmoid"),
        (
            "POST",
            "/models/digits/predict",
            {"json": {}},
            "422 missing_field /models/{name}/predict, model digits",
        ),
        ("POST", "/predict?x=1", {"json": ROW}, "422 unknown_field /predict"),
    )
    for number, (method, path, given, message) in enumerate(cases):
        request_id = f"refused.{number}"
        request = client.build_request(method, path, **given)
        request.headers["X-Request-ID"] = request_id
        response = client.send(request)
        assert response.headers["x-request-id"] == request_id
        assert response.json()["request_id"] == request_id
        wanted = Line("INFO", request_id, message)
        assert soon(lambda w=wanted: check(logged.path, logged.read)[-1] == w)  # type: ignore[misc]


def at_rest(path: Path) -> bytes:
    """Read the log once its last lines are written."""
    text = path.read_bytes()
    while True:
        sleep(0.2)
        if text == (text := path.read_bytes()):
            return text


def test_answered_requests_are_not_logged(logged: Logged) -> None:
    before = at_rest(logged.path)
    for path in ("/models", "/livez", "/docs"):
        assert logged.client.get(path).status_code == 200
    assert logged.client.post("/predict", json=ROW).status_code == 200
    assert at_rest(logged.path) == before


def test_keys_that_break_are_logged(logged: Logged) -> None:
    keys = logged.path.with_name("keys.txt")
    replace(keys, f"{line(ADMIN)}\x1b[2J{FORGED}\n")

    def told() -> bool:
        assert logged.client.get("/models").status_code == 200
        last = check(logged.path, logged.read)[-1]
        return last.level == "ERROR" and ": line 2 is not" in last.message

    assert soon(told)
    replace(keys, line(ADMIN))
    assert soon(
        lambda: (
            logged.client.get("/models").status_code == 200
            and "API keys reloaded" in check(logged.path, logged.read)[-1].message
        )
    )


_SCRIPT = """
import logging, sys, warnings
from sigmoid_serve.monitoring.logs import configure_logs
configure_logs(sys.argv[1])
logger = logging.getLogger("sigmoid_serve")
logger.debug("not shown")
logger.warning("one %s", "ü", extra={"request_id": "id"})
try:
    raise ValueError("first\\nsecond")
except ValueError:
    logger.exception("unexpected error", extra={"request_id": "id"})
logging.getLogger("another").info("two")
"""


def logs_of(log_format: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, log_format],
        capture_output=True,
        timeout=TIMEOUT,
        env=environment(TZ="Asia/Kolkata", PYTHONPATH=os.getcwd()),
        check=True,
    )
    assert done.stdout == b""
    return done.stderr.decode()


def test_text() -> None:
    first, second, *trace, last = logs_of("text").splitlines()
    assert read_text(f"{first}\n{second}\n{last}") == [
        Line("WARNING", "id", "one ü"),
        Line("ERROR", "id", "unexpected error"),
        Line("INFO", "-", "two"),
    ]
    assert trace[0] == "Traceback (most recent call last):"


def test_json() -> None:
    first, second, third = map(json.loads, logs_of("json").splitlines())
    assert (first["level"], first["request_id"]) == ("WARNING", "id")
    assert first["message"] == "one ü"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    written = datetime.fromisoformat(first["time"])
    assert abs(datetime.now(UTC) - written) < timedelta(seconds=TIMEOUT)
    assert second["message"] == "unexpected error"
    assert second["exc_info"].endswith("ValueError: first\nsecond")
    assert third["message"] == "two"
    assert third["request_id"] in (None, "-")


def test_upgrades_are_answered_as_if_they_were_none(logged: Logged) -> None:
    upgrade = (
        b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    before = at_rest(logged.path)
    head, _ = exchange(logged.client, upgrade)
    assert head.startswith(b"HTTP/1.1 200 ")
    check_head(head)
    assert at_rest(logged.path) == before
