"""A call outlasts what passes by itself, and nothing else."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from sigmoid_serve import AsyncClient, Client, DeadlineExceededError
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.server.server import Server
from tests.admission.test_queue import Served, serving, wait_until
from tests.client.conftest import client_of
from tests.client.test_errors import FULL

ROW = [0.0] * 4
ROWS = np.random.default_rng(2).normal(size=(60_000, 4)).astype(np.float32)
OVER_TCP = pytest.mark.parametrize("kind", ["sync-tcp", "async-tcp"])


@contextmanager
def serving_at(port: int, small: Path) -> Iterator[tuple[Server, int]]:
    """Serve at a port; the end may come sooner, by `should_exit`."""
    server = Server(create_app(Settings(drain_seconds=0), [small]))
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield server, listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def total(served: Served) -> float:
    return served.metric("sigmoid_model_requests_total")


@OVER_TCP
def test_a_restart_in_between(kind: str, small: Path) -> None:
    """Calls go on while one server ends, none is there, and another one starts."""
    done = threading.Event()

    def call(client: Any) -> list[Any]:
        answers = []
        while not done.is_set():
            answers.append(client.predict(ROWS).logits.tobytes())
        return [*answers, client.predict(ROWS).logits.tobytes()]

    with ThreadPoolExecutor(1) as thread, ExitStack() as stack:
        with serving_at(0, small) as (server, port):
            address = f"http://127.0.0.1:{port}"
            client = stack.enter_context(client_of(kind, address))
            client.predict(ROW)
            calls = thread.submit(call, client)
            wait_until(lambda: bool(server.server_state.total_requests > 4))
        with serving_at(port, small) as (server, _):
            wait_until(lambda: server.server_state.total_requests > 4)
            done.set()
            answers = calls.result()
    assert len(answers) >= 2
    assert len(set(answers)) == 1


@OVER_TCP
def test_an_outage_that_is_too_long(kind: str, small: Path) -> None:
    with serving_at(0, small) as (_, port):
        client = client_of(kind, f"http://127.0.0.1:{port}", retries=1000)
        client.predict(ROW)
    with client, pytest.raises(DeadlineExceededError) as caught:
        client.predict(ROW, timeout=0.5)
    assert "within 0.5 s, having asked" in str(caught.value)
    assert "the last thing to come was: no answer from" in str(caught.value)
    assert caught.value.__cause__ is not None


@OVER_TCP
def test_a_full_queue_is_asked_again_when_it_says(kind: str, small: Path) -> None:
    """Its `Retry-After` is 1 s here, in which no request comes."""
    with serving(FULL, [small]) as served:
        state = RequestState(served.context.admission)
        state.reserve(200)
        address = str(served.client.base_url)
        with client_of(kind, address, retries=1) as client:
            # Nobody waits for what would come too late.
            with pytest.raises(DeadlineExceededError, match="the queue is full"):
                client.predict(ROW, timeout=0.9)
            assert total(served) == 1
            with ThreadPoolExecutor(1) as thread:
                call = thread.submit(client.predict, ROW)
                wait_until(lambda: total(served) == 2)
                state.release()
                assert call.result().model == "small"
            assert total(served) == 3


def test_threads_and_tasks_share_a_client(small: Path) -> None:
    rows = ROWS[:64]
    with serving(Settings(), [small]) as served:
        address = str(served.client.base_url)
        with Client(address) as client:
            want = client.predict(rows).logits
            with ThreadPoolExecutor(8) as threads:
                found = list(threads.map(client.predict, rows))

        async def ask() -> list[Any]:
            answers: list[Any] = [None] * len(rows)

            async def one(place: int) -> None:
                answers[place] = await waiting.predict(rows[place])

            async with AsyncClient(address) as waiting:
                assert await waiting.ready()
                async with anyio.create_task_group() as tasks:
                    for place in range(len(rows)):
                        tasks.start_soon(one, place)
            return answers

        found += anyio.run(ask)
        with (
            Client(create_app(Settings(), [small])) as inside,
            ThreadPoolExecutor(8) as threads,
        ):
            found += threads.map(inside.predict, rows)
    for answer, logits in zip(found, [*want] * 3, strict=True):
        assert answer.logits.tobytes() == logits.tobytes()
