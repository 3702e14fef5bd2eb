"""The queue: its arithmetic, and what it does to requests when it is full."""

import gzip
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from sigmoid_models.checkpoint import save_checkpoint
from sigmoid_models.dtype import Float64Array
from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.admission.stages import QUEUE
from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.engine.engine import Prediction
from sigmoid_serve.errors import Abandoned, Expired, ServiceError
from sigmoid_serve.http.context import Context
from sigmoid_serve.inference.media import NPY
from sigmoid_serve.server.server import Server
from tests.engine.networks import make_checkpoint
from tests.server.test_connection import answer as read_answer
from tests.server.test_connection import post

PATIENCE = 10
FEATURES = 784
NAME = "wide"
ROUTES = (
    "/predict",
    f"/models/{NAME}/predict",
    f"/models/{NAME}/versions/1/predict",
    "/sigmoid",
)


class Served(NamedTuple):
    """A server: a client that calls it, what its requests share.

    So many elements of its queue are taken for good.
    """

    client: httpx.Client
    context: Context
    taken: int = 0

    def connect(self, timeout: float = PATIENCE) -> socket.socket:
        url = self.client.base_url
        return socket.create_connection((url.host, url.port or 80), timeout)

    def metric(self, name: str, **labels: str) -> float:
        """Sum the samples of a name that have these labels."""
        text = self.client.get("/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def becomes_empty(self) -> bool:
        """Wait until nothing is in the queue."""
        wait_until(lambda: self.context.admission.elements == self.taken)
        return self.metric("sigmoid_inflight_elements") == self.taken


@contextmanager
def serving(
    settings: Settings,
    checkpoints: Sequence[Path] = (),
    taken: int = 0,
    **options: Any,
) -> Iterator[Served]:
    """Serve as `tests.conftest.serve` does, and show what the requests share."""
    app = create_app(settings, checkpoints)
    RequestState(app.state.context.admission).reserve(taken)
    server = Server(app, **options)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_until(lambda: server.started)
        try:
            with httpx.Client(base_url=url, timeout=PATIENCE) as client:
                yield Served(client, app.state.context, taken)
        finally:
            server.should_exit = True
            thread.join()


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, "it did not come to be in time"
        time.sleep(0.005)


def save_wide(folder: Path) -> Path:
    """Save a network that computes more than twenty rows on the device's thread."""
    path = folder / f"{NAME}.safetensors"
    checkpoint = make_checkpoint((FEATURES, 512, 10))
    save_checkpoint(path, checkpoint.network, checkpoint.card)
    return path


@contextmanager
def busy(served: Served, rows: int) -> Iterator[Future[httpx.Response]]:
    """Have heavy rows computed for as long as the block lasts.

    They are computed indeed, but not before the block ends, on however fast a machine.
    """
    engine = served.context.registry.find(NAME).engine
    begun, go = threading.Event(), threading.Event()
    compute = engine.predict

    def answer(values: Float64Array) -> Prediction:
        if not begun.is_set():
            begun.set()
            assert go.wait(PATIENCE)
        return compute(values)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as thread:
        patch.setattr(engine, "predict", answer)
        future = thread.submit(post_npy, served.client, "/predict", ones(rows))
        try:
            wait_until(lambda: begun.is_set() or future.done())
            assert begun.is_set(), future.result().text
            yield future
        finally:
            go.set()


def ones(rows: int) -> NDArray[np.float32]:
    return np.ones((rows, FEATURES), np.float32)


def npy_bytes(values: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def post_npy(client: httpx.Client, path: str, values: NDArray[Any]) -> httpx.Response:
    headers = {"Content-Type": NPY}
    return client.post(path, content=npy_bytes(values), headers=headers)


def json_bytes(rows: int) -> bytes:
    return json.dumps({"inputs": [[1] * FEATURES] * rows}).encode()


def queue(
    limit: int = 1000, max_elements: int = 100, timeout_seconds: float = 30
) -> AdmissionLimit:
    return AdmissionLimit(limit, max_elements, timeout_seconds)


def retry_after(queue: AdmissionLimit, elements: int) -> int:
    with pytest.raises(ServiceError) as caught:
        queue.check(elements)
    assert caught.value.code == "queue_full"
    assert "SIGMOID_MAX_QUEUE_ELEMENTS" in caught.value.detail
    seconds = caught.value.retry_after
    assert type(seconds) is int
    assert f"ask again in {seconds} s" in caught.value.detail
    return seconds


def test_a_body_holds_at_most_an_element_in_two_bytes() -> None:
    one = queue(max_elements=100)
    sizes = (0, 1, 2, 3, 199, 200, 201, 10**9)
    assert [one.most(size) for size in sizes] == [0, 0, 1, 1, 99, 100, 100, 100]


def test_the_limit_is_exact() -> None:
    one = queue(limit=1000)
    one.check(1000)
    state = RequestState(one)
    state.reserve(999)
    one.check(1)
    retry_after(one, 2)
    with pytest.raises(ServiceError):
        RequestState(one).reserve(2)
    state.reserve(1000)
    one.check(0)
    retry_after(one, 1)
    with pytest.raises(ServiceError):
        state.reserve(1001)
    assert (state.elements, one.elements) == (1000, 1000)


def test_what_is_counted_of_a_request() -> None:
    one = queue()
    first, second = RequestState(one), RequestState(one)
    first.reserve(30)
    second.reserve(50)
    first.reserve(40)
    assert (first.elements, second.elements, one.elements) == (40, 50, 90)
    first.reserve(7)
    assert (first.elements, one.elements) == (7, 57)
    first.reserve(20)
    assert one.elements == 70
    for _ in range(2):
        first.release()
        assert (first.elements, one.elements) == (0, 50)
    second.release()
    assert one.elements == 0


@pytest.mark.parametrize("timeout", [0.01, 1, 2.5, 30])
def test_retry_after_is_within_its_bounds(timeout: float) -> None:
    """At least a second, at most the timeout, whatever was dealt with till now."""
    longest = -(-timeout // 1)
    for done in (0, 1, 100, 10**9):
        one = queue(limit=done + 1001, timeout_seconds=timeout)
        state = RequestState(one)
        state.reserve(done)
        RequestState(one).reserve(1)  # so that it is never empty in between
        state.release()
        RequestState(one).reserve(1000)
        for excess in (1, 10**3, 10**15):
            assert 1 <= retry_after(one, done + excess) <= longest


def test_retry_after_follows_from_the_rate() -> None:
    """What is asked again too early or late is bounded by the clock on both sides."""
    one = queue(limit=1000, timeout_seconds=3600)
    start = time.perf_counter()
    RequestState(one).reserve(900)
    done = RequestState(one)
    done.reserve(100)
    time.sleep(0.1)
    done.release()
    least = time.perf_counter()
    seconds = retry_after(one, 1100)
    most = time.perf_counter()
    # 100 elements took at least 0.1 s, so that the 1000 too many take at least 1 s.
    assert least - start >= 0.1
    assert 1 <= seconds <= 10 * (most - start) + 1
    assert retry_after(one, 10**4) >= 10
    # The rate of a queue that nothing leaves is not known.
    assert retry_after(one, 10**12) == 3600


def test_a_wait_that_is_over() -> None:
    state = RequestState(queue(timeout_seconds=0.01))
    state.check()
    state.start_deadline()
    state.enter(QUEUE)
    time.sleep(0.02)
    with pytest.raises(Expired, match="SIGMOID_TIMEOUT_SECONDS") as caught:
        state.check()
    assert caught.value.stage == "queue"
    state.is_abandoned = True
    with pytest.raises(Abandoned) as abandoned:
        state.check()
    assert abandoned.value.stage == "queue"


def test_a_wait_that_is_not_over() -> None:
    state = RequestState(queue(timeout_seconds=3600))
    state.start_deadline()
    state.check()
    assert not state.should_stop(time.perf_counter())
    assert state.should_stop(time.perf_counter() + 3601)


ROWS = 30
ELEMENTS = ROWS * FEATURES
ROOM = 100
# The rest of the queue is taken.
TAKEN = ELEMENTS + ROOM
FULL = Settings(max_elements=TAKEN, max_queue_elements=2 * TAKEN, timeout_seconds=25)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Its queue has room for one heavy request and a little more."""
    with serving(FULL, [save_wide(tmp_path_factory.mktemp(NAME))], TAKEN) as served:
        yield served


@pytest.fixture
def full(served: Served) -> Iterator[Served]:
    """Is busy with a request that fills its queue."""
    alone = post_npy(served.client, "/predict", ones(ROWS))
    with busy(served, ROWS) as first:
        wait_until(lambda: served.context.admission.elements == TAKEN + ELEMENTS)
        yield served
    assert first.result().status_code == 200
    assert first.result().json() == alone.json()
    assert served.becomes_empty()


def assert_refused(response: httpx.Response) -> None:
    problem = response.json()
    assert (response.status_code, problem["code"]) == (429, "queue_full")
    assert f"{2 * TAKEN} (SIGMOID_MAX_QUEUE_ELEMENTS)" in problem["detail"]
    assert 1 <= int(response.headers["Retry-After"]) <= FULL.timeout_seconds
    assert f"ask again in {response.headers['Retry-After']} s" in problem["detail"]


def posts(content: bytes | Iterator[bytes], **headers: str) -> dict[str, Any]:
    return {"content": content, "headers": headers}


# A body may have so many elements: by its length, in pieces, or once it is inflated.
BODIES: dict[str, Callable[[], dict[str, Any]]] = {
    "json": lambda: posts(json_bytes(1)),
    "long json": lambda: posts(json_bytes(ROWS) + b" " * 2**18),
    "npy": lambda: posts(npy_bytes(ones(1)), **{"Content-Type": NPY}),
    "chunked": lambda: posts(iter([json_bytes(1)])),
    "in chunks": lambda: posts(iter([json_bytes(1)[:50], json_bytes(1)[50:]])),
    "gzip": lambda: posts(
        gzip.compress(json_bytes(ROWS), mtime=0), **{"Content-Encoding": "gzip"}
    ),
}


@pytest.mark.parametrize("body", BODIES)
def test_what_finds_no_room_is_refused_on_every_route(full: Served, body: str) -> None:
    rejects = full.metric("sigmoid_requests_rejected_total", reason="queue_full")
    for route in ROUTES:
        assert_refused(full.client.post(route, **BODIES[body]()))
        assert full.context.admission.elements == TAKEN + ELEMENTS
    assert full.metric(
        "sigmoid_requests_rejected_total", reason="queue_full"
    ) == rejects + len(ROUTES)


def test_what_finds_room_is_answered_meanwhile(full: Served) -> None:
    for _ in range(3):
        answer = full.client.post("/sigmoid", json={"inputs": [0] * 10})
        assert answer.json()["outputs"] == [0.5] * 10
    for path in ("/livez", "/readyz", "/limits", "/models"):
        assert full.client.get(path).status_code == 200
    assert full.metric("sigmoid_inflight_elements") == TAKEN + ELEMENTS


def test_the_last_room_is_exact(full: Served) -> None:
    """A body of 2 × `ROOM` bytes has at most `ROOM` elements."""
    good = b'{"inputs": 0}'
    for size, status in ((2 * ROOM - 1, 200), (2 * ROOM + 1, 200), (2 * ROOM + 2, 429)):
        body = good + b" " * (size - len(good))
        assert full.client.post("/sigmoid", content=body).status_code == status
        chunked = full.client.post("/sigmoid", content=iter([body[:7], body[7:]]))
        assert chunked.status_code == status


def test_afterwards_there_is_room_again(served: Served) -> None:
    with busy(served, ROWS) as first:
        wait_until(lambda: served.context.admission.elements == TAKEN + ELEMENTS)
        assert_refused(served.client.post("/predict", content=json_bytes(1)))
    assert first.result().status_code == 200
    assert served.becomes_empty()
    for name, body in BODIES.items():
        for route in ROUTES:
            answer = served.client.post(route, **body())
            assert answer.status_code == 200, (name, answer.text)
    assert served.becomes_empty()


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_request_alone_is_let_in_however_long_its_body(
    served: Served, is_chunked: bool
) -> None:
    body = b'{"inputs": [' + b", ".join([b"0.12345678901234567"] * ELEMENTS) + b"]}"
    assert len(body) // 2 > 5 * FULL.max_elements
    parts = [body[i : i + 2**16] for i in range(0, len(body), 2**16)]
    answer = served.client.post("/sigmoid", content=iter(parts) if is_chunked else body)
    assert answer.status_code == 200
    assert served.becomes_empty()


def test_a_body_in_many_pieces_counts_no_more_than_it_may_hold(served: Served) -> None:
    """Short enough for the fast path, and longer than the elements it may have."""
    queue = served.context.admission
    with served.connect() as wire:
        request = post("/sigmoid", b'{"inputs": 0}'.ljust(2**18))
        for start in range(0, 200_000, 10_000):
            wire.sendall(request[start : start + 10_000])
            wait_until(lambda: queue.elements > TAKEN)
            assert queue.elements <= TAKEN + FULL.max_elements
        wire.sendall(request[200_000:])
        assert read_answer(wire)[0].startswith(b"HTTP/1.1 200 ")
    assert served.becomes_empty()


def test_bodies_that_arrive_at_once_do_not_pass_the_limit(served: Served) -> None:
    """Each found room when its header came, but there is none for all of them."""
    queue = served.context.admission
    request = post("/predict", json_bytes(ROWS))
    head = request.index(b"\r\n\r\n") + 4
    with ExitStack() as stack:
        wires = [stack.enter_context(served.connect()) for _ in range(5)]
        for wire in wires:
            wire.sendall(request[:head])
        served.client.get("/livez")
        for wire in wires:
            wire.sendall(request[head:-1])
        for _ in range(30):
            assert queue.elements <= FULL.max_queue_elements
            time.sleep(0.01)
        for wire in wires:
            wire.sendall(request[-1:])
        statuses = {read_answer(wire)[0].split()[1] for wire in wires}
    assert b"200" in statuses
    assert statuses <= {b"200", b"429"}
    assert served.becomes_empty()


def test_bodies_that_stall_leave_half_of_the_queue(tmp_path: Path) -> None:
    """So that requests that have arrived are answered, however many stall."""
    settings = Settings(max_elements=10_000, max_queue_elements=40_000)
    body = b'{"inputs": [' + b"0, " * 9_000 + b"0]}"
    begun = post("/sigmoid", b"", "Transfer-Encoding: chunked")
    stalled = (
        post("/sigmoid", body),
        post("/sigmoid", b"x" * 300_000),
        begun.replace(b"Content-Length: 0\r\n", b"") + b"%x\r\n" % len(body) + body,
    )
    with serving(settings) as served, ExitStack() as stack:
        queue = served.context.admission
        for request in stalled:
            wire = stack.enter_context(served.connect())
            wire.sendall(request[:-1])
        wait_until(lambda: queue.arriving == 20_000)
        assert queue.elements == 20_000
        for content in (b'{"inputs": 0}', body[:11] + b" " * 9000 + b"1}"):
            assert served.client.post("/sigmoid", content=content).status_code == 200
            in_pieces = iter([content[:5], content[5:]])
            answer = served.client.post("/sigmoid", content=in_pieces)
            assert answer.status_code in (200, 429)
        refused = served.client.post("/sigmoid", content=b" " * 300_000)
        assert refused.status_code == 429
        assert "20000 elements are still arriving" in refused.json()["detail"]
        assert "half of SIGMOID_MAX_QUEUE_ELEMENTS" in refused.json()["detail"]
        stack.close()
        assert served.becomes_empty()
        assert queue.arriving == 0


BAD: tuple[tuple[str, bytes, dict[str, str], int], ...] = (
    ("/predict", b"", {}, 400),
    ("/predict", b"{", {}, 400),
    ("/predict", b'{"inputs": [[1, 2]]}', {}, 422),
    ("/predict", b'{"inputs": [true]}' + b" " * 2**18, {}, 422),
    ("/sigmoid", b'{"inputs": [[1], 2]}', {}, 422),
    ("/sigmoid", b'{"inputs": [1e999]}', {}, 422),
    ("/predict", b"not npy", {"Content-Type": NPY}, 422),
    ("/predict", b"text", {"Content-Type": "text/plain"}, 415),
    ("/predict", b"text", {"Content-Encoding": "gzip"}, 400),
    ("/predict", b"{}", {"Accept": "image/png"}, 406),
    ("/predict?output=none", b"{}", {}, 422),
    ("/models/none/predict", b"{}", {}, 404),
    ("/sigmoid", json_bytes(ROWS + 1), {}, 413),
)


def test_the_queue_is_empty_after_all_that_is_refused(served: Served) -> None:
    for path, body, headers, status in BAD:
        for content in (body, iter([body])):
            answer = served.client.post(path, content=content, headers=headers)
            assert (path, answer.status_code) == (path, status), answer.text
            assert served.becomes_empty()


def test_many_at_once_are_answered_rightly_or_refused(served: Served) -> None:
    """Nothing but 200 and 429 comes of load, and nothing of it stays."""
    rows = np.random.default_rng(0).normal(size=(ROWS, FEATURES)).astype(np.float32)
    want = post_npy(served.client, "/predict", rows).json()
    batches = served.metric("sigmoid_batch_rows_sum")

    def ask(count: int) -> httpx.Response:
        return post_npy(served.client, "/predict", rows[:count])

    counts = [1, 5, 22, ROWS] * 25
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, counts))
    accepted = 0
    for count, answer in zip(counts, answers, strict=True):
        if answer.status_code == 200:
            assert answer.json()["logits"] == want["logits"][:count]
            accepted += count
        else:
            assert_refused(answer)
    assert {answer.status_code for answer in answers} == {200, 429}
    assert served.metric("sigmoid_batch_rows_sum") == batches + accepted
    assert served.becomes_empty()
