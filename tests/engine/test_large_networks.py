"""Networks with large layers: their weights are packed, and all cores share a batch."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from sigmoid_models.checkpoint import Checkpoint
from sigmoid_models.classifier import linear_layers
from sigmoid_models.logits import reference_logits
from sigmoid_serve.engine.batching import Batcher
from sigmoid_serve.engine.device import DeviceThreads, use_one_thread
from sigmoid_serve.engine.engine import Engine, RowError
from tests.engine.networks import (
    Network,
    check_interleaved,
    make_checkpoint,
    make_engine,
    same,
    state,
)
from tests.models.test_functions import EVERY

# Those that docs/performance.md measures; the last two take minutes.
MEASURED: list[Network] = [
    ((30, 64, 64, 1), "sigmoid"),
    ((64, *[256] * 5, 10), "sigmoid"),
    ((256, *[1024] * 9, 10), "sigmoid"),
]
LARGEST: list[Network] = [
    ((1024, *[4096] * 5, 10), "sigmoid"),
    ((1024, *[1024] * 32, 10), "sigmoid"),
]
# Every function behind 700 numbers and behind 1024; the first few layers deep, so that
# no later one levels what it gets wrong.
FUNCTIONS: list[Network] = [
    *(((129, *[700] * 4, 3), EVERY[i : i + 4]) for i in range(0, len(EVERY), 4)),
    ((129, 1024, 700, 3), "sigmoid"),
    ((100, *[1024] * len(EVERY), 10), EVERY),
    ((2**17, 5, 2), "relu"),
    ((3, 2**17, 1), "tanh"),
    ((1024, 1024), "relu"),
]
FEW_ROWS = (0, 1, 1, 1, 2, 5, 31, 33, 64, 200)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Begin as those threads do that compute; only large products are shared."""
    before = torch.get_num_threads()
    use_one_thread()
    yield
    torch.set_num_threads(before)


def engine_of(network: Network, threads: int) -> Engine:
    shape, activation = network
    return make_engine(shape, activation=activation, threads=threads)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "networks", [MEASURED, FUNCTIONS], ids=["measured", "functions"]
)
def test_interleaved_clients_get_their_own_rows(
    networks: list[Network], threads: int
) -> None:
    engines = [engine_of(network, threads) for network in networks]
    check_interleaved(engines, threads, FEW_ROWS, pool_rows=64, requests=4)


@pytest.mark.large
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("activation", EVERY)
@pytest.mark.parametrize("network", [*MEASURED, *LARGEST], ids=str)
def test_every_function_between_large_layers(
    network: Network, activation: str, threads: int
) -> None:
    engines = [engine_of((network[0], activation), threads)]
    check_interleaved(engines, threads, FEW_ROWS, pool_rows=64, requests=1)


def test_all_cores_share_a_batch_where_layers_are_large() -> None:
    assert engine_of(((30, 64, 64, 1), "sigmoid"), 2).shared_by == 1
    assert engine_of(((30, 1024, 1024, 1), "sigmoid"), 2).shared_by == 2
    assert engine_of(((30, 1024, 1024, 1), "sigmoid"), 1).shared_by == 1


def test_bits_do_not_depend_on_the_threads() -> None:
    shape = (129, 1024, 700, 3)
    rows = np.random.default_rng(0).normal(size=(300, shape[0]))
    before = torch.get_num_threads()
    found = set()
    for threads in (1, 2, 3, 7):
        engine = make_engine(shape, threads=threads)
        assert engine.shared_by == threads
        assert engine.batch_sizes[0] >= 1024
        torch.set_num_threads(threads)
        try:
            found.add(engine.logits(rows).tobytes())
            found.add(np.concatenate([engine.logits(r[None]) for r in rows]).tobytes())
        finally:
            torch.set_num_threads(before)
    assert len(found) == 1


def test_a_long_request_is_computed_in_turns() -> None:
    """Batch by batch, each by all threads; another request goes in between."""
    engine = make_engine((129, 1024, 700, 3), threads=2)
    largest = engine.batch_sizes[0]
    rows = np.random.default_rng(0).normal(size=(5 * largest, 129))
    order: list[str] = []
    sizes: list[int] = []

    async def one(batcher: Batcher, name: str, rows: Any) -> None:
        answer = await batcher.predict(rows, state())
        order.append(name)
        assert same(answer, engine.predict(rows))

    async def run(threads: ThreadPoolExecutor) -> None:
        batcher = Batcher(engine, DeviceThreads(threads, 2), sizes.append)
        await asyncio.gather(
            one(batcher, "long", rows), one(batcher, "short", rows[:40])
        )

    with ThreadPoolExecutor(2) as threads:
        asyncio.run(run(threads))
    assert order == ["short", "long"]
    assert max(sizes) <= largest


def test_a_row_that_overflows_is_found_where_it_is() -> None:
    engine = make_engine((129, 1024, 700, 3), threads=2)
    rows = np.zeros((700, 129))
    rows[333, 7] = 1e39
    with pytest.raises(RowError) as caught:
        engine.logits(rows)
    assert (caught.value.code, caught.value.index) == ("overflow", (333, 7))


def test_infinity_between_large_layers() -> None:
    """A signal beyond float32 ends in the logits that plain PyTorch has."""
    checkpoint = make_checkpoint((129, 1024, 700, 3), ("relu", "sigmoid"))
    with torch.no_grad():
        linear_layers(checkpoint.network)[0].weight[5] = 3e38
    engine = Engine(checkpoint, torch.device("cpu"), 4096)
    rows = np.abs(np.random.default_rng(0).normal(size=(40, 129)))
    rows[3] = 0
    with torch.inference_mode():
        want = checkpoint.network(torch.from_numpy(rows).float()).numpy()
    got = engine.logits(rows)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    assert engine.logits(rows[3:4]).tobytes() == got[3:4].tobytes()


def test_logits_against_float64() -> None:
    checkpoint = make_checkpoint((256, *[1024] * 9, 10), "tanh")
    rows = np.random.default_rng(0).normal(size=(33, 256))
    want = reference_logits(checkpoint.network, checkpoint.card, rows)
    got = Engine(checkpoint, torch.device("cpu"), 4096).logits(rows)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_weights_are_let_go_of_where_nobody_needs_them() -> None:
    checkpoint: Checkpoint = make_checkpoint((129, 1024, 700, 3))
    rows = np.random.default_rng(0).normal(size=(9, 129))
    want = Engine(checkpoint, torch.device("cpu"), 4096).logits(rows)
    engine = Engine(checkpoint, torch.device("cpu"), 4096, is_last_use=True)
    assert engine.logits(rows).tobytes() == want.tobytes()
    assert [len(each.weight) for each in linear_layers(checkpoint.network)] == [0, 0, 0]


def test_what_is_done_is_reported() -> None:
    steps: list[str] = []
    checkpoint = make_checkpoint((129, 1024, 700, 3))
    engine = Engine(checkpoint, torch.device("cpu"), 64, report=steps.append)
    assert steps[:3] == [f"layer {number} of 3" for number in (1, 2, 3)]
    assert steps[3:] == [
        f"equal bits in batches of {size} rows" for size in engine.batch_sizes[::-1]
    ]


@pytest.mark.parametrize(
    ("shape", "rows", "others"),
    [
        ((1000, 1000), 1, 2),  # pytorch/pytorch#136338
        ((1024, 2816), 128, 129),  # pytorch/pytorch#122778
        ((90, 128), 1, 2),  # pytorch/pytorch#51276
        ((768, 768, 18), 1, 33),  # pytorch/pytorch#124025
    ],
    ids=str,
)
def test_networks_whose_bits_depend_on_the_batch_in_plain_pytorch(
    shape: tuple[int, ...], rows: int, others: int
) -> None:
    engine = make_engine(shape)
    features = np.random.default_rng(0).random(size=(others, shape[0]))
    few, many = engine.logits(features[:rows]), engine.logits(features)
    assert few.tobytes() == many[:rows].tobytes()
