"""Networks and engines to try batches with, and 64 clients that try them."""

import asyncio
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import ModelCard, usual_task
from sigmoid_models.checkpoint import Checkpoint
from sigmoid_models.classifier import sequential
from sigmoid_models.dtype import Float64Array
from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.engine.batching import Batcher
from sigmoid_serve.engine.device import DeviceThreads, use_one_thread
from sigmoid_serve.engine.engine import Engine, Prediction
from tests.models.test_functions import EVERY

CLIENTS = 64
COUNTS = (0, 1, 1, 1, 2, 5, 31, 32, 33, 100, 700)

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
    threads: int = 1,
) -> Engine:
    checkpoint = make_checkpoint(shape, activation)
    return Engine(checkpoint, torch.device(device), 4096, threads=threads)


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


def check_interleaved(
    engines: Sequence[Engine],
    threads: int,
    counts: Sequence[int] = COUNTS,
    pool_rows: int = 300,
    requests: int = 6,
) -> None:
    """Have 64 clients ask for rows of all engines, and compare with each row alone."""
    use_one_thread()  # as those do who compute: the bits are those of one thread
    generator = np.random.default_rng(threads)
    pools = [generator.normal(size=(pool_rows, each.features)) for each in engines]
    wanted = [alone(e, pool) for e, pool in zip(engines, pools, strict=True)]
    tried = 0

    async def client(batchers: list[Batcher], seed: int) -> None:
        nonlocal tried
        chance = random.Random(seed)
        for _ in range(requests):
            which = chance.randrange(len(engines))
            count = chance.choice(counts)
            picked = [chance.randrange(pool_rows) for _ in range(count)]
            answer = await batchers[which].predict(pools[which][picked], state())
            want = Prediction(*(array[picked] for array in wanted[which]))  # type: ignore[arg-type]
            assert same(answer, want)
            tried += 1
            if chance.random() < 0.3:
                await asyncio.sleep(chance.random() / 500)

    async def run() -> None:
        with ThreadPoolExecutor(threads, initializer=use_one_thread) as executor:
            batchers = [
                Batcher(engine, DeviceThreads(executor, threads), lambda rows: None)
                for engine in engines
            ]
            await asyncio.gather(*(client(batchers, seed) for seed in range(CLIENTS)))

    asyncio.run(run())
    assert tried == requests * CLIENTS
