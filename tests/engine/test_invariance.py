"""Batch sizes are tried before use; whatever passes, the bits are the same."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from sigmoid_serve.engine.invariance import Float32Array, find_batch_invariant_sizes
from tests.engine.test_batching import SHAPES, make_engine

Spoil = Callable[[Float32Array], None]


def compute(spoil: Spoil) -> Callable[[Float32Array], Float32Array]:
    def compute(features: Float32Array) -> Float32Array:
        logits = np.ascontiguousarray(features[:, :2]) * 3
        spoil(logits)
        return logits

    return compute


def honest(logits: Float32Array) -> None:
    pass


def large_batches_differ(logits: Float32Array) -> None:
    if len(logits) > 128:
        logits[17] = np.nextafter(logits[17], np.float32(9))


def last_place_differs(logits: Float32Array) -> None:
    if len(logits) >= 32:
        logits[31] = np.nextafter(logits[31], np.float32(9))


def one_thread_differs(logits: Float32Array) -> None:
    if torch.get_num_threads() == 1 and len(logits) >= 64:
        logits *= 2


@pytest.mark.parametrize(
    ("spoil", "sizes"),
    [
        (honest, (512, 256, 128, 64, 32)),
        (large_batches_differ, (128, 64, 32)),
        (last_place_differs, (1,)),
    ],
)
def test_only_sizes_that_change_no_bit(spoil: Spoil, sizes: tuple[int, ...]) -> None:
    assert find_batch_invariant_sizes(compute(spoil), 5, 1000, 600) == sizes


def test_other_threads_are_tried_too() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert find_batch_invariant_sizes(
            compute(one_thread_differs), 5, 1000, 600
        ) == (32,)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_trial_of_a_large_network_is_bounded() -> None:
    computed = 0

    def count(logits: Float32Array) -> None:
        nonlocal computed
        computed += max(32, len(logits))

    assert find_batch_invariant_sizes(compute(count), 5, 10**8, 4096) == (32,)
    assert computed <= 32 * 4


@pytest.mark.parametrize("shape", [SHAPES[1], SHAPES[2], SHAPES[7]], ids=str)
@pytest.mark.parametrize("sizes", [(1,), (32,), (64, 32)], ids=str)
def test_every_fallback_gives_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], sizes: tuple[int, ...]
) -> None:
    rows = np.random.default_rng(0).normal(size=(100, shape[0]))
    want = make_engine(shape).logits(rows)
    monkeypatch.setattr(
        "sigmoid_serve.engine.engine.find_batch_invariant_sizes", lambda *_: sizes
    )
    engine = make_engine(shape)
    assert engine.batch_sizes == sizes
    assert engine.logits(rows).tobytes() == want.tobytes()
