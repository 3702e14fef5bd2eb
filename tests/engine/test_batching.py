"""Requests in common batches: each gets exactly its own rows, with the same bits."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import get_ident
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from sigmoid_models.card import ModelCard, Scaler
from sigmoid_models.checkpoint import Checkpoint, save_checkpoint
from sigmoid_models.dtype import Float64Array
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.engine.batching import Batcher, parts_of
from sigmoid_serve.engine.device import DeviceThreads
from sigmoid_serve.engine.engine import Engine, Prediction, RowError
from tests.conftest import serve
from tests.engine.networks import (
    CLIENTS,
    DEVICES,
    OTHERS,
    SIGMOID,
    Network,
    alone,
    check_interleaved,
    make_checkpoint,
    make_engine,
    same,
    state,
)


@pytest.fixture
def set_threads() -> Any:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("networks", [SIGMOID, OTHERS], ids=["sigmoid", "others"])
def test_interleaved_clients_get_their_own_rows(
    networks: list[Network], threads: int, device: str
) -> None:
    """Light and heavy requests of mixed sizes to all networks, all at once."""
    engines = [make_engine(shape, device, name, threads) for shape, name in networks]
    check_interleaved(engines, threads)


async def ask(batcher: Batcher, *requests: Float64Array) -> list[Any]:
    return await asyncio.gather(
        *(batcher.predict(rows, state()) for rows in requests), return_exceptions=True
    )


@pytest.mark.parametrize("shape", [(10, 20, 2), (784, 512, 10)], ids=["light", "heavy"])
def test_a_request_that_fails_fails_alone(shape: tuple[int, ...]) -> None:
    engine = make_engine(shape)
    good = np.random.default_rng(0).normal(size=(50, shape[0]))
    bad = good.copy()
    bad[37, 4] = 1e300
    with ThreadPoolExecutor(1) as thread:
        batcher = Batcher(engine, DeviceThreads(thread, 1), lambda rows: None)
        answers = asyncio.run(ask(batcher, good, bad, good[:1], bad[37:38], good))
    for position, rows in ((0, good), (2, good[:1]), (4, good)):
        assert same(answers[position], engine.predict(rows))
    for position, index in ((1, (37, 4)), (3, (0, 4))):
        error = answers[position]
        assert isinstance(error, RowError)
        assert (error.code, error.index) == ("overflow", index)


def test_a_fault_far_down_a_split_request_is_found_where_it_is() -> None:
    engine = Engine(make_checkpoint((784, 512, 10)), torch.device("cpu"), 64)
    rows = np.zeros((500, 784))
    rows[333, 7] = 1e39
    with ThreadPoolExecutor(1) as thread:
        (error,) = asyncio.run(
            ask(Batcher(engine, DeviceThreads(thread, 1), lambda rows: None), rows)
        )
    assert isinstance(error, RowError)
    assert error.index == (333, 7)


@pytest.mark.parametrize("shape", [(784, 512, 10), (64, 64, 64, 64, 10)], ids=str)
def test_a_long_request_is_computed_by_all_threads(shape: tuple[int, ...]) -> None:
    """Its parts come back in any order, and are put together in theirs."""
    engine = make_engine(shape)
    rows = np.random.default_rng(0).normal(size=(20_000, shape[0]))
    names: set[int] = set()
    sizes: list[int] = []

    def on_batch(rows: int) -> None:
        sizes.append(rows)

    with ThreadPoolExecutor(3, initializer=lambda: names.add(get_ident())) as threads:
        batcher = Batcher(engine, DeviceThreads(threads, 3), on_batch)
        got = asyncio.run(ask(batcher, rows, rows[:1], rows[7:9000]))
    want = engine.predict(rows)
    assert same(got[0], want)
    assert same(got[1], Prediction(*(part[:1] for part in want)))  # type: ignore[arg-type]
    assert same(got[2], Prediction(*(part[7:9000] for part in want)))  # type: ignore[arg-type]
    assert len(names) == 3
    assert max(sizes) <= 4096
    assert sum(sizes) == 28_994


def test_the_first_of_several_faults_is_told() -> None:
    """Also where another thread finds a later one sooner."""
    engine = make_engine((784, 512, 10))
    rows = np.zeros((4096, 784))
    rows[[2000, 2060, 4000], [3, 5, 7]] = 1e39
    with ThreadPoolExecutor(2) as threads:
        batcher = Batcher(engine, DeviceThreads(threads, 2), lambda rows: None)
        for _ in range(5):
            (error,) = asyncio.run(ask(batcher, rows))
            assert isinstance(error, RowError)
            assert error.index == (2000, 3)
        (answer,) = asyncio.run(ask(batcher, rows[:2000]))
    assert same(answer, engine.predict(rows[:2000]))


def test_rows_are_divided_where_they_are_worth_another_thread() -> None:
    assert [parts_of(macs, 4) for macs in (0, 2**26, 2**27, 2**28, 2**40)] == [
        1,
        1,
        2,
        4,
        4,
    ]
    engine = make_engine((64, *[256] * 5, 10))
    sizes: list[int] = []
    with ThreadPoolExecutor(2) as threads:
        batcher = Batcher(engine, DeviceThreads(threads, 2), sizes.append)
        for rows in (40, 1000):
            asyncio.run(ask(batcher, np.ones((rows, 64))))
    assert sizes == [40, 500, 500]


def test_long_requests_take_turns() -> None:
    """A short heavy request need not wait for all of a long one."""
    engine = Engine(make_checkpoint((784, 512, 10)), torch.device("cpu"), 64)
    rows = np.random.default_rng(0).normal(size=(4000, 784))
    order: list[str] = []

    async def one(batcher: Batcher, name: str, rows: Float64Array) -> None:
        answer = await batcher.predict(rows, state())
        order.append(name)
        assert same(answer, engine.predict(rows))

    async def run(thread: ThreadPoolExecutor) -> None:
        batcher = Batcher(engine, DeviceThreads(thread, 1), lambda rows: None)
        await asyncio.gather(
            one(batcher, "long", rows), one(batcher, "short", rows[:40])
        )

    with ThreadPoolExecutor(1) as thread:
        asyncio.run(run(thread))
    assert order == ["short", "long"]


def test_requests_that_arrived_together_share_a_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = make_engine((10, 20, 2))
    sizes: list[int] = []
    compute = engine.predict

    def answer(rows: Float64Array) -> Prediction:
        sizes.append(len(rows))
        return compute(rows)

    monkeypatch.setattr(engine, "predict", answer)
    rows = np.ones((1, 10))
    got: list[Any] = []

    async def run() -> None:
        with ThreadPoolExecutor(1) as thread:
            batcher = Batcher(engine, DeviceThreads(thread, 1), lambda rows: None)
            await ask(batcher, *[rows] * 5)
            await ask(batcher, rows)
            assert batcher.enqueue_inline(rows, state(), got.append)
            assert batcher.enqueue_inline(rows, state(), got.append)
            assert got == []
            batcher.flush()
            assert len(got) == 2
            batcher.flush()
            assert not batcher.enqueue_inline(np.ones((10**6, 10)), state(), got.append)

    asyncio.run(run())
    assert sizes == [5, 1, 2]


@pytest.mark.parametrize("threads", [1, 2])
def test_over_http_from_64_clients(
    tmp_path: Path, threads: int, set_threads: Any
) -> None:
    set_threads(threads)
    engines = {}
    networks = [*SIGMOID[:8], *OTHERS[:13]]
    for number, (shape, activation) in enumerate(networks):
        checkpoint = make_checkpoint(shape, activation)
        card: ModelCard = checkpoint.card
        if number % 2:
            scaler = Scaler(mean=(0.5,) * shape[0], scale=(2.0,) * shape[0])
            card = card.model_copy(update={"scaler": scaler})
            checkpoint = Checkpoint(checkpoint.network, card, "0" * 64)
        save_checkpoint(tmp_path / f"m{number}.safetensors", checkpoint.network, card)
        engines[f"m{number}"] = Engine(checkpoint, torch.device("cpu"), 4096)

    async def client(http: httpx.AsyncClient, seed: int) -> None:
        generator = np.random.default_rng(seed)
        for _ in range(3):
            name = f"m{generator.integers(len(networks))}"
            engine = engines[name]
            count = int(generator.choice([1, 1, 2, 40, 300]))
            rows = generator.normal(size=(count, engine.card.architecture.features))
            response = await http.post(
                f"/models/{name}/predict", json={"inputs": rows.tolist()}
            )
            want = alone(engine, rows)
            answer = response.json()
            assert np.float32(answer["logits"]).tobytes() == want.logits.tobytes()
            likely = np.float32(answer["probabilities"])
            assert likely.tobytes() == want.probabilities.tobytes()
            assert answer["labels"] == want.labels.tolist()

    async def run(base_url: httpx.URL) -> None:
        limits = httpx.Limits(max_connections=CLIENTS)
        async with httpx.AsyncClient(
            base_url=base_url, timeout=60, limits=limits
        ) as http:
            await asyncio.gather(*(client(http, seed) for seed in range(CLIENTS)))

    with serve(Settings(), [tmp_path]) as served:
        asyncio.run(run(served.base_url))
