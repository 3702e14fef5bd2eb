"""Batch sizes are tried before use; whatever passes, the bits are the same."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from sigmoid_models.functions import function_of
from sigmoid_models.probabilities import Float32Array
from sigmoid_serve.engine.invariance import (
    Step,
    find_batch_invariant_sizes,
    telling_values,
)
from tests.engine.networks import SHAPES, make_engine
from tests.models.test_functions import EVERY

Spoil = Callable[[Float32Array], None]

CPU = torch.device("cpu")
SIZES = (4, 8, 16, 32, 64, 128, 256, 512)


def step(spoil: Spoil) -> Step:
    def compute(signals: Tensor) -> Tensor:
        result = signals[:, :2] * 3
        spoil(result.numpy())
        return result

    return Step(compute, 5, 2)


def honest(result: Float32Array) -> None:
    pass


def large_batches_differ(result: Float32Array) -> None:
    if len(result) > 128:
        result[:] = np.nextafter(result, np.float32(9))


def small_batches_differ(result: Float32Array) -> None:
    if len(result) < 16:
        result[:] = np.nextafter(result, np.float32(9))


def sizes_disagree(result: Float32Array) -> None:
    result *= len(result)


def every_size_has_a_last_place(result: Float32Array) -> None:
    result[-1] = np.nextafter(result[-1], np.float32(9))


def a_place_of_one_size_differs(result: Float32Array) -> None:
    if len(result) == 64:
        result[17] = np.nextafter(result[17], np.float32(9))


def neighbours_matter(result: Float32Array) -> None:
    if len(result) == 512:
        result[1:] += result[:-1] / 2**20


def one_value_in_300(result: Float32Array) -> None:
    if len(result) == 8:
        rare = result.view(np.uint32) % 300 == 0
        result[rare] = np.nextafter(result[rare], np.float32(9))


@pytest.mark.parametrize(
    ("spoil", "sizes"),
    [
        (honest, (512, 256, 128, 64, 32, 16, 8, 4)),
        # A lone row is worth more than the whole weights that 512 rows share.
        (large_batches_differ, (128, 64, 32, 16, 8, 4)),
        (small_batches_differ, (512, 256, 128, 64, 32, 16)),
        (a_place_of_one_size_differs, (512, 256, 128, 32, 16, 8, 4)),
        (neighbours_matter, (256, 128, 64, 32, 16, 8, 4)),
        (one_value_in_300, (512, 256, 128, 64, 32, 16, 4)),
        (sizes_disagree, (16,)),
        (every_size_has_a_last_place, (1,)),
    ],
)
@pytest.mark.parametrize("position", [0, 1])
def test_only_sizes_that_change_no_bit(
    spoil: Spoil, sizes: tuple[int, ...], position: int
) -> None:
    steps = [step(honest), step(spoil)] if position else [step(spoil), step(honest)]
    assert find_batch_invariant_sizes(steps, SIZES, CPU) == sizes


def test_other_threads_are_tried_too() -> None:
    def one_thread_differs(result: Float32Array) -> None:
        if torch.get_num_threads() == 1 and len(result) >= 64:
            result *= 2

    before = torch.get_num_threads()
    steps = [step(one_thread_differs)]
    assert find_batch_invariant_sizes(steps, SIZES, CPU, threads=2) == (32, 16, 8, 4)
    assert find_batch_invariant_sizes(steps, SIZES, CPU, threads=1) == (32, 16, 8, 4)
    assert torch.get_num_threads() == before


def test_each_size_is_reported() -> None:
    told: list[int] = []
    find_batch_invariant_sizes([step(honest)], SIZES, CPU, report=told.append)
    assert told == list(SIZES)


def test_not_a_number_is_equal_to_itself() -> None:
    def nothing(result: Float32Array) -> None:
        result[:] = np.nan

    assert len(find_batch_invariant_sizes([step(nothing)], SIZES, CPU)) == len(SIZES)


@pytest.mark.parametrize("name", EVERY)
def test_a_number_that_is_computed_without_a_vector_is_found(name: str) -> None:
    """One of 32 rows of 32 numbers, as where two threads meet."""
    function = function_of(name).in_place

    def compute(signals: Tensor) -> Tensor:
        flat = signals.view(-1)
        if len(signals) == 32:
            function(flat[:500])
            function(flat[500:])
        else:
            function(flat)
        return signals

    values = telling_values(function)
    vectors, parts = values[:1].repeat(1024), values[:1].repeat(1024)
    function(vectors)
    function(parts[:500])
    function(parts[500:])
    matters = not torch.equal(vectors, parts)
    step = Step(compute, 32, 32, values)
    sizes = (64, 16, 8) if matters else (64, 32, 16, 8)
    assert find_batch_invariant_sizes([step], (8, 16, 32, 64), CPU) == sizes


@pytest.mark.parametrize(
    "shape", [SHAPES[1], SHAPES[2], SHAPES[7], (300, 1024, 700, 3)], ids=str
)
@pytest.mark.parametrize("sizes", [(1,), (32,), (64, 32)], ids=str)
def test_every_fallback_serves(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], sizes: tuple[int, ...]
) -> None:
    rows = np.random.default_rng(0).normal(size=(100, shape[0]))
    want = make_engine(shape).logits(rows)
    monkeypatch.setattr(
        "sigmoid_serve.engine.engine.find_batch_invariant_sizes", lambda *_: sizes
    )
    engine = make_engine(shape)
    assert engine.batch_sizes == sizes
    got = engine.logits(rows)
    alone = np.concatenate([engine.logits(row[None]) for row in rows])
    assert got.tobytes() == alone.tobytes()
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
