"""Requests in common batches: each gets exactly its own rows, with the same bits."""

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import get_ident
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import ModelCard, Scaler, usual_task
from sigmoid_models.checkpoint import Checkpoint, save_checkpoint
from sigmoid_models.classifier import sequential
from sigmoid_models.dtype import Float64Array
from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.engine.batching import Batcher
from sigmoid_serve.engine.device import DeviceThreads
from sigmoid_serve.engine.engine import Engine, Prediction, RowError
from tests.conftest import serve
from tests.models.test_functions import EVERY

CLIENTS = 64
SHAPES: list[tuple[int, ...]] = [
    (10, 20, 2),
    (13, 7, 3, 1),
    (64, 257, 129, 10),
    (5, 5, 5),
    (30, 64, 1),
    (64, 64, 64, 64, 64, 64, 64, 10),
    (1, 1, 1),
    (33, 65, 17),
    (784, 512, 10),
]
Network = tuple[tuple[int, ...], str | tuple[str, ...]]
SIGMOID: list[Network] = [(shape, "sigmoid") for shape in SHAPES]
OTHERS: list[Network] = [
    *(((13, 33, 17, 3), name) for name in EVERY if name != "sigmoid"),
    ((9, 15, 16, 17, 31, 32, 33, 64, 5, 1, 20, 48, 47, 4), EVERY),
    ((20, 300, 2), "gelu"),
    ((30, 1), "relu"),
    ((784, 10), "sigmoid"),
    ((784, 512, 10), "relu"),
    ((100, 256, 128, 10), ("relu", "softplus")),
]
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.cuda,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
        ],
    ),
]


def make_checkpoint(
    shape: tuple[int, ...], activation: str | tuple[str, ...] = "sigmoid"
) -> Checkpoint:
    torch.manual_seed(len(shape) + sum(shape))
    card = ModelCard(
        architecture=Architecture(kind="Sequential", sizes=shape),
        activation=activation,
        task=usual_task(shape[-1]),
    )
    return Checkpoint(sequential(shape, card.activations), card, "0" * 64)


def make_engine(
    shape: tuple[int, ...],
    device: str = "cpu",
    activation: str | tuple[str, ...] = "sigmoid",
) -> Engine:
    return Engine(make_checkpoint(shape, activation), torch.device(device), 4096)


def state() -> RequestState:
    return RequestState(
        AdmissionLimit(limit=2**40, max_elements=2**40, timeout_seconds=60)
    )


def same(got: Prediction, want: Prediction) -> bool:
    return all(
        a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for a, b in zip(got, want, strict=True)
    )


def alone(engine: Engine, rows: Float64Array) -> Prediction:
    """Each row asked for on its own."""
    answers = [engine.predict(row[None]) for row in rows]
    logits, likely, labels = (
        np.concatenate(part) for part in zip(*answers, strict=True)
    )
    return Prediction(logits, likely, labels)


@pytest.fixture
def set_threads() -> Any:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("networks", [SIGMOID, OTHERS], ids=["sigmoid", "others"])
def test_interleaved_clients_get_their_own_rows(
    networks: list[Network], threads: int, device: str, set_threads: Any
) -> None:
    """Light and heavy requests of mixed sizes to all networks, all at once."""
    set_threads(threads)
    engines = [make_engine(shape, device, name) for shape, name in networks]
    generator = np.random.default_rng(threads)
    pools = [generator.normal(size=(300, shape[0])) for shape, _ in networks]
    wanted = [alone(e, pool) for e, pool in zip(engines, pools, strict=True)]
    tried = 0

    async def client(batchers: list[Batcher], seed: int) -> None:
        nonlocal tried
        chance = random.Random(seed)
        for _ in range(6):
            which = chance.randrange(len(networks))
            count = chance.choice([0, 1, 1, 1, 2, 5, 31, 32, 33, 100, 700])
            picked = [chance.randrange(300) for _ in range(count)]
            answer = await batchers[which].predict(pools[which][picked], state())
            want = Prediction(*(array[picked] for array in wanted[which]))  # type: ignore[arg-type]
            assert same(answer, want)
            tried += 1
            if chance.random() < 0.3:
                await asyncio.sleep(chance.random() / 500)

    async def run() -> None:
        with ThreadPoolExecutor(1) as thread:
            batchers = [
                Batcher(engine, DeviceThreads(thread, 1), lambda rows: None)
                for engine in engines
            ]
            await asyncio.gather(*(client(batchers, seed) for seed in range(CLIENTS)))

    asyncio.run(run())
    assert tried == 6 * CLIENTS


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
