"""Requests that nobody can or will wait for any longer: they are not computed."""

import asyncio
import gzip
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.engine.background import OFFLOAD_ABOVE_BYTES
from tests.admission.test_queue import (
    FEATURES,
    NAME,
    PATIENCE,
    Served,
    busy,
    json_bytes,
    save_wide,
    serving,
    wait_until,
)
from tests.server.test_connection import answer as read_answer
from tests.server.test_connection import post

TIMEOUT = 0.5
HEAVY = 40

# Read on the event loop, or beside it.
BODIES = {"short": json_bytes(30), "long": json_bytes(60) + b" " * OFFLOAD_ABOVE_BYTES}
ROWS = {"short": 30, "long": 60}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_wide(tmp_path_factory.mktemp(NAME))


@pytest.fixture(scope="module")
def served(wide: Path) -> Iterator[Served]:
    """Nobody waits for long here."""
    with serving(Settings(threads=1, timeout_seconds=TIMEOUT), [wide]) as served:
        yield served


@pytest.fixture(scope="module")
def patient(wide: Path) -> Iterator[Served]:
    """Requests may wait here."""
    with serving(Settings(threads=1), [wide]) as served:
        yield served


@contextmanager
def busy_worker(served: Served) -> Iterator[None]:
    """Let what is read and written beside the event loop wait while the block lasts."""
    begun, go = threading.Event(), threading.Event()

    def hold() -> bool:
        begun.set()
        return go.wait(PATIENCE)

    def work() -> bool:
        state = RequestState(served.context.admission)
        return asyncio.run(served.context.background.run(state, hold))

    with ThreadPoolExecutor(1) as thread:
        held = thread.submit(work)
        try:
            assert begun.wait(PATIENCE)
            yield
        finally:
            go.set()
    assert held.result()


def arrived(served: Served, elements: int) -> None:
    """Wait until so much is in the queue."""
    wait_until(lambda: served.context.admission.elements == elements)


def assert_expired(response: httpx.Response, stage: str) -> None:
    problem = response.json()
    assert (response.status_code, problem["code"]) == (504, "timeout")
    said = re.fullmatch(
        r"the request waited ([0-9.]+) s, at last in the stage (\w+) "
        r"\(parse [0-9.]+ s, queue ([0-9.]+) s, infer ([0-9.]+) s, "
        r"encode ([0-9.]+) s\); the longest wait is 0\.5 s "
        r"\(SIGMOID_TIMEOUT_SECONDS\)",
        problem["detail"],
    )
    assert said, problem["detail"]
    assert said[2] == stage
    # Seconds are said to a tenth.
    waited, queued, inferred, encoded = (float(said[i]) for i in (1, 3, 4, 5))
    assert waited >= TIMEOUT - 0.05
    assert TIMEOUT - 0.15 <= queued <= waited + 0.1
    assert inferred == encoded == 0
    # The connection is still good for what comes next.
    assert response.headers.get("connection") != "close"


@pytest.mark.parametrize("length", BODIES)
def test_what_waited_too_long_is_not_computed(served: Served, length: str) -> None:
    rows = served.metric("sigmoid_rows_total", model=NAME)
    expired = served.metric("sigmoid_requests_timed_out_total", stage="queue")
    with ThreadPoolExecutor(2) as threads:
        with busy(served, HEAVY) as first:
            late: list[Future[httpx.Response]] = []
            for number in (1, 2):
                post = served.client.post
                late.append(threads.submit(post, "/predict", content=BODIES[length]))
                arrived(served, FEATURES * (HEAVY + number * ROWS[length]))
            time.sleep(TIMEOUT + 0.1)
        for response in late:
            assert_expired(response.result(), "queue")
    # It waited for itself only, and that is no reason to throw its rows away.
    assert first.result().status_code == 200
    assert served.metric("sigmoid_rows_total", model=NAME) == rows + HEAVY
    assert (
        served.metric("sigmoid_requests_timed_out_total", stage="queue") == expired + 2
    )
    assert served.metric("sigmoid_requests_total", reason="timeout", code="504") >= 2
    assert served.becomes_empty()


@pytest.mark.parametrize("length", BODIES)
def test_what_did_not_wait_too_long_is_computed(patient: Served, length: str) -> None:
    rows = patient.metric("sigmoid_rows_total", model=NAME)
    alone = patient.client.post("/predict", content=BODIES[length]).json()
    with ThreadPoolExecutor(1) as thread:
        with busy(patient, HEAVY):
            post = patient.client.post
            later = thread.submit(post, "/predict", content=BODIES[length])
            arrived(patient, FEATURES * (HEAVY + ROWS[length]))
            time.sleep(TIMEOUT + 0.1)
        assert later.result().json() == alone
    computed = patient.metric("sigmoid_rows_total", model=NAME) - rows
    assert computed == HEAVY + 2 * ROWS[length]
    assert patient.metric("sigmoid_requests_timed_out_total") == 0


def test_a_request_in_parts_is_given_up_between_them(wide: Path) -> None:
    """Rows that were computed before are lost; those after are not computed."""
    settings = Settings(threads=1, timeout_seconds=TIMEOUT, max_batch_rows=32)
    with serving(settings, [wide]) as served:
        with busy(served, 100) as first:
            time.sleep(TIMEOUT + 0.1)
        problem = first.result().json()
        assert problem["code"] == "timeout"
        assert "in the stage infer" in problem["detail"]
        assert served.metric("sigmoid_rows_total", model=NAME) == 32
        assert served.metric("sigmoid_requests_timed_out_total", stage="infer") == 1
        assert served.becomes_empty()


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/sigmoid", b'{"inputs": [0]}'.ljust(OFFLOAD_ABOVE_BYTES + 1), {}),
        ("/predict", BODIES["long"], {}),
        (
            "/sigmoid",
            gzip.compress(b'{"inputs": [0]}', mtime=0),
            {"Content-Encoding": "gzip"},
        ),
    ],
    ids=["sigmoid", "predict", "gzip"],
)
def test_what_waited_too_long_for_the_worker(
    served: Served, path: str, body: bytes, headers: dict[str, str]
) -> None:
    rows = served.metric("sigmoid_rows_total")
    expired = served.metric("sigmoid_requests_timed_out_total", stage="queue")
    with ThreadPoolExecutor(1) as thread:
        with busy_worker(served):
            post = served.client.post
            late = thread.submit(post, path, content=body, headers=headers)
            wait_until(lambda: served.context.admission.elements > 0)
            time.sleep(TIMEOUT + 0.1)
        assert_expired(late.result(), "queue")
    assert served.metric("sigmoid_rows_total") == rows
    assert (
        served.metric("sigmoid_requests_timed_out_total", stage="queue") == expired + 1
    )
    assert served.becomes_empty()


def test_short_requests_do_not_wait_for_long_ones(served: Served) -> None:
    """Neither for those that are computed nor for those that are read."""
    with busy_worker(served), busy(served, HEAVY):
        time.sleep(TIMEOUT + 0.1)
        for _ in range(3):
            answer = served.client.post("/sigmoid", json={"inputs": 0})
            assert answer.json()["outputs"] == 0.5
            light = served.client.post("/predict", content=json_bytes(1))
            assert light.status_code == 200


def gone(served: Served, wire: socket.socket) -> None:
    """Close a connection, and wait until the server has seen it."""
    wire.close()
    # One that has only stopped sending looks the same at first.
    time.sleep(0.1)
    served.client.get("/livez")


@pytest.mark.parametrize("length", BODIES)
def test_who_went_away_while_the_network_was_busy(patient: Served, length: str) -> None:
    rows = patient.metric("sigmoid_rows_total", model=NAME)
    abandoned = patient.metric("sigmoid_requests_cancelled_total", stage="queue")
    answered = patient.metric("sigmoid_requests_total", route="/predict")
    with busy(patient, HEAVY) as first:
        wire = patient.connect()
        wire.sendall(post("/predict", BODIES[length]))
        arrived(patient, FEATURES * (HEAVY + ROWS[length]))
        gone(patient, wire)
    assert first.result().status_code == 200
    assert patient.becomes_empty()
    assert patient.metric("sigmoid_rows_total", model=NAME) == rows + HEAVY
    assert (
        patient.metric("sigmoid_requests_cancelled_total", stage="queue")
        == abandoned + 1
    )
    assert patient.metric("sigmoid_requests_total", route="/predict") == answered + 1


@pytest.mark.parametrize("path", ["/sigmoid", "/predict"])
def test_who_went_away_while_the_worker_was_busy(patient: Served, path: str) -> None:
    rows = patient.metric("sigmoid_rows_total")
    abandoned = patient.metric("sigmoid_requests_cancelled_total", stage="queue")
    with busy_worker(patient):
        wire = patient.connect()
        wire.sendall(post(path, BODIES["long"]))
        arrived(patient, len(BODIES["long"]) // 2)
        gone(patient, wire)
    assert patient.becomes_empty()
    assert patient.metric("sigmoid_rows_total") == rows
    assert (
        patient.metric("sigmoid_requests_cancelled_total", stage="queue")
        == abandoned + 1
    )


CUT: dict[str, bytes] = {
    "short": post("/predict", BODIES["short"])[:-1],
    "short, no body yet": post("/predict", BODIES["short"])[: -len(BODIES["short"])],
    "long": post("/predict", BODIES["long"])[:-1],
    "long, no body yet": post("/predict", BODIES["long"])[: -len(BODIES["long"])],
    "chunked": b"POST /sigmoid HTTP/1.1\r\nHost: x\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
    b'd\r\n{"inputs": 0}\r\n',
    "sigmoid": post("/sigmoid", b'{"inputs": 0}')[:-1],
    "behind a good one": post("/sigmoid", b'{"inputs": 0}') * 2
    + post("/sigmoid", b'{"inputs": 0}')[:-1],
}


@pytest.mark.parametrize("part", CUT)
def test_who_goes_away_amid_a_body(patient: Served, part: str) -> None:
    rows = patient.metric("sigmoid_rows_total")
    abandoned = patient.metric("sigmoid_requests_cancelled_total", stage="body")
    wire = patient.connect()
    wire.sendall(CUT[part])
    if b"\r\n\r\n" not in CUT[part][-4:]:
        wait_until(lambda: patient.context.admission.elements > 0)
    gone(patient, wire)
    wait_until(
        lambda: (
            patient.metric("sigmoid_requests_cancelled_total", stage="body") > abandoned
        )
    )
    assert patient.becomes_empty()
    assert (
        patient.metric("sigmoid_requests_cancelled_total", stage="body")
        == abandoned + 1
    )
    assert patient.metric("sigmoid_rows_total") == rows


def test_who_goes_away_amid_a_header_is_not_counted(patient: Served) -> None:
    names = ("sigmoid_requests_cancelled_total", "sigmoid_requests_timed_out_total")
    before = [patient.metric(name) for name in names]
    wire = patient.connect()
    wire.sendall(post("/predict", BODIES["short"])[:30])
    gone(patient, wire)
    assert [patient.metric(name) for name in names] == before
    assert patient.becomes_empty()


@pytest.mark.parametrize("length", BODIES)
def test_who_stops_sending_is_answered(patient: Served, length: str) -> None:
    """However long that takes; and what was asked before, too."""
    wanted = patient.client.post("/predict", content=BODIES[length]).json()
    abandoned = patient.metric("sigmoid_requests_cancelled_total")
    with patient.connect() as wire:
        with busy(patient, HEAVY):
            wire.sendall(post("/sigmoid", b'{"inputs": 0}'))
            wire.sendall(post("/predict", BODIES[length]) * 2)
            wire.shutdown(socket.SHUT_WR)
            time.sleep(0.5)
        head, body, rest = read_answer(wire)
        assert json.loads(body)["outputs"] == 0.5
        for connection in (b"keep-alive: ", b"connection: close"):
            head, body, rest = read_answer(wire, rest)
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert connection in head
            assert json.loads(body) == wanted
        assert rest + wire.recv(1) == b""
    assert patient.becomes_empty()
    assert patient.metric("sigmoid_requests_cancelled_total") == abandoned


@pytest.mark.parametrize("length", BODIES)
def test_who_stops_sending_and_goes_away_later(patient: Served, length: str) -> None:
    rows = patient.metric("sigmoid_rows_total", model=NAME)
    with busy(patient, HEAVY):
        wire = patient.connect()
        wire.sendall(post("/predict", BODIES[length]))
        arrived(patient, FEATURES * (HEAVY + ROWS[length]))
        wire.shutdown(socket.SHUT_WR)
        time.sleep(0.3)
        gone(patient, wire)
        # It is looked after every quarter of a second.
        time.sleep(0.3)
    assert patient.becomes_empty()
    assert patient.metric("sigmoid_rows_total", model=NAME) == rows + HEAVY


ENDS_AMID: dict[str, bytes] = {
    "nothing": b"",
    "an answered request": post("/sigmoid", b'{"inputs": 0}'),
    "a head": post("/sigmoid", b'{"inputs": 0}')[:30],
    "a short body": post("/sigmoid", b'{"inputs": 0}')[:-1],
    "a long body": post("/sigmoid", b'{"inputs": 0}'.ljust(OFFLOAD_ABOVE_BYTES + 1))[
        :-1
    ],
}


@pytest.mark.parametrize("part", ENDS_AMID)
def test_who_stops_sending_with_nothing_to_answer(patient: Served, part: str) -> None:
    with patient.connect() as wire:
        wire.sendall(ENDS_AMID[part])
        wire.shutdown(socket.SHUT_WR)
        answered = b""
        while chunk := wire.recv(4096):
            answered += chunk
    assert answered.count(b"HTTP/1.1 ") == (part == "an answered request")
    assert patient.becomes_empty()
