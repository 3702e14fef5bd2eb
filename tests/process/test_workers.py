"""Several workers that serve as one: totals, restarts, starts that fail."""

import os
import re
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cli.test_cli import call
from tests.process.standing import Standing, log_of, starts
from tests.registry.test_reloading import Served
from tests.running import PLAIN, TIMEOUT, counted, serving, until_ready
from tests.server.test_connection import answer

BODY = {"inputs": [[0.5] * 30] * 3}


def children(pid: int) -> list[int]:
    """List the workers of a supervisor, in the order in which they were started."""
    tasks = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    workers = []
    for task in tasks:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            if b"spawn_main" in Path(f"/proc/{task}/cmdline").read_bytes():
                workers.append(int(task))
    return sorted(workers)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """Two workers, which all tests share."""
    standing = Standing(tmp_path_factory.mktemp("pair"), two_workers, put_back)
    yield standing
    standing.close()


@contextmanager
def two_workers(folder: Path) -> Iterator[Served]:
    variables = {"SIGMOID_WORKERS": "2", "SIGMOID_THREADS": "3"}
    with (
        serving(folder / "log", **variables) as (process, address),
        httpx.Client(base_url=address, timeout=TIMEOUT) as client,
    ):
        found = Served(client, folder / "models", process)
        until_ready(client)
        until(lambda: starts(found) == 2)
        yield found


def put_back(found: Served) -> None:
    until_ready(found.client)


@pytest.fixture
def pair(standing: Standing) -> Iterator[Served]:
    with standing.use() as found:
        yield found


def until(is_so: object) -> None:
    assert callable(is_so)
    end = monotonic() + TIMEOUT
    while not is_so():
        assert monotonic() < end
        sleep(0.02)


def ask_often(address: httpx.URL, times: int) -> set[str]:
    """Ask on a new connection each time; return which processes answered."""
    processes = set()
    for _ in range(times):
        with httpx.Client(base_url=address, timeout=TIMEOUT, verify=PLAIN) as client:
            response = client.post("/predict", json=BODY)
            assert response.status_code == 200
            processes.add(response.headers["x-request-id"][:20])
    return processes


def test_connections_spread_over_the_workers(pair: Served) -> None:
    """However they come: one after the other, and all at once.

    Who has the fewest has a moment to take the next. On a machine with much to do it
    may be asleep, but not each time.
    """
    client = pair.client
    until(lambda: len(ask_often(client.base_url, 4)) == 2)
    assert any(are_spread(client.base_url) for _ in range(5))


def are_spread(address: httpx.URL) -> bool:
    """Connect, beside a client that has a connection, and see who answers."""
    sleep(0.1)  # whoever was there before has left
    with ExitStack() as stack:

        def connect(count: int) -> list[socket.socket]:
            place = (address.host, address.port or 80)
            return [
                stack.enter_context(socket.create_connection(place, TIMEOUT))
                for _ in range(count)
            ]

        def fewest(wires: list[socket.socket]) -> int:
            counts: Counter[bytes] = Counter()
            for wire in wires:
                wire.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                found = re.search(rb"x-request-id: (.{20})", answer(wire)[0])
                assert found
                counts[found[1]] += 1
            return min(counts.values()) if len(counts) == 2 else 0

        first = connect(7)
        if fewest(first) < 2:
            return False
        second = connect(30)
        if fewest(first + second) < 15:
            return False
        for wire in first:
            wire.close()
        third = connect(10)
        return fewest(second + third) >= 17


def test_threads_are_shared(pair: Served) -> None:
    until(lambda: log_of(pair).count("threads: ") >= 2)
    assert {*re.findall(r"threads: (\d+)", log_of(pair))} == {"3"}


Totals = Callable[..., float]


def totals(client: httpx.Client) -> Totals:
    """Read all metrics; return how to look up the sum of those with some labels."""
    families = list(text_string_to_metric_families(client.get("/metrics").text))

    def total(name: str, **labels: str) -> float:
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    return total


def test_totals_are_exact(pair: Served) -> None:
    client = pair.client
    before = totals(client)
    processes: set[str] = set()
    asked = 0
    clients = []

    def ask() -> None:
        nonlocal asked
        found = ask_often(client.base_url, 25)
        asked += 25
        processes.update(found)

    until_both = monotonic() + TIMEOUT
    while len(processes) < 2 and monotonic() < until_both:
        clients = [threading.Thread(target=ask) for _ in range(4)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
    assert len(processes) == 2, "one worker answered everything"
    for _ in range(7):
        assert client.post("/sigmoid", json={"inputs": [True]}).status_code == 422
        assert client.get("/nothing").status_code == 404
    # Whoever answers, the totals are the same.
    for _ in range(4):
        with httpx.Client(base_url=client.base_url, verify=PLAIN) as another:
            now = totals(another)

            def total(name: str, now: Totals = now, **labels: str) -> float:
                return now(name, **labels) - before(name, **labels)

            requests = "sigmoid_requests_total"
            assert total(requests, route="/predict", reason="ok") == asked
            assert total(requests, route="/predict") == asked
            assert total(requests, reason="not_a_number", code="422") == 7
            assert total(requests, route="other", code="404") == 7
            assert total("sigmoid_rows_total") == 3 * asked
            assert total("sigmoid_batch_rows_sum") == 3 * asked
            for stage in ("parse", "queue", "infer", "encode"):
                name = "sigmoid_request_stage_duration_seconds_count"
                parsed = asked + 7 * (stage == "parse")
                assert total(name, stage=stage) == parsed
            duration = "sigmoid_request_duration_seconds"
            assert total(f"{duration}_count", route="/predict") == asked
            assert total(f"{duration}_count", route="other") == 7
            parts = total("sigmoid_request_stage_duration_seconds_sum")
            assert parts < total(f"{duration}_sum")
            assert now("sigmoid_workers") == 2
            assert now("sigmoid_ready") == 1
            assert now("sigmoid_inflight_elements") == 0


def test_a_worker_that_dies_is_restarted(pair: Served) -> None:
    process, client = pair.process, pair.client
    ask_often(client.base_url, 10)
    with httpx.Client(base_url=client.base_url, verify=PLAIN) as another:
        total = totals(another)
    started = starts(pair)
    before = children(process.pid)
    assert len(before) == 2
    os.kill(before[0], signal.SIGKILL)
    until(lambda: starts(pair) == started + 1)
    after = children(process.pid)
    assert len(after) == 2
    assert before[0] not in after
    with httpx.Client(base_url=client.base_url, timeout=TIMEOUT) as another:
        until(lambda: counted(another, "sigmoid_ready") == 1)
        ask_often(client.base_url, 10)
        restarts, requests = "sigmoid_worker_restarts_total", "sigmoid_requests_total"
        assert counted(another, restarts) == total(restarts) + 1
        # The counts of the dead worker are kept.
        asked = total(requests, route="/predict")
        assert asked >= 10
        assert counted(another, requests, route="/predict") == asked + 10


def test_workers_exit_with_their_supervisor(pair: Served) -> None:
    process = pair.process
    workers = children(process.pid)
    process.kill()
    process.wait(TIMEOUT)
    until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_damaged_file_stops_the_start(tmp_path: Path, workers: str) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"damaged")
    outcome = call("serve", "--port", "0", "--workers", workers, path)
    assert outcome.returncode == 1
    assert "Traceback" not in outcome.stderr
    last = outcome.stderr.splitlines()[-1]
    assert last.startswith(f"sigmoid-serve: {path}: it is text, which begins with")
