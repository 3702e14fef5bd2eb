"""Which networks are computed with packed weights, and what is done without them."""

import logging

import numpy as np
import pytest
import torch

from sigmoid_serve.engine import products
from sigmoid_serve.engine.batch_sizes import cost, size_for, sizes_to_try
from tests.engine.networks import make_engine

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("sizes", "is_packed"),
    [
        ((784, 512, 10), False),
        ((723, 724, 724, 3), True),
        ((723, 723, 3), False),
        ((5, 2**19 // 6, 1), False),
        ((5, 2**19 // 6 + 1, 1), True),
        ((2**19, 1), True),
    ],
    ids=str,
)
def test_weights_are_packed_where_a_layer_is_large(
    sizes: tuple[int, ...], is_packed: bool
) -> None:
    assert products.product_for(sizes, CPU).is_packed == is_packed
    assert not products.product_for(sizes, torch.device("cuda")).is_packed


def test_without_packed_weights_it_is_said_and_served(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows = np.random.default_rng(0).normal(size=(70, 129))
    want = make_engine((129, 1024, 700, 3)).logits(rows)

    def pack(matrix: torch.Tensor) -> torch.Tensor:
        raise AttributeError("no such operation")

    monkeypatch.setattr(products, "_pack", pack)
    products._can_pack.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            engine = make_engine((129, 1024, 700, 3), threads=2)
    finally:
        products._can_pack.cache_clear()
    assert "cannot pack weights" in caplog.text
    assert engine.shared_by == 1
    got = engine.logits(rows)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    alone = np.concatenate([engine.logits(row[None]) for row in rows])
    assert got.tobytes() == alone.tobytes()


def test_a_batch_is_filled_up_where_that_takes_less_than_another() -> None:
    sizes = (512, 64, 32, 8, 2)
    asked = [1, 2, 3, 8, 9, 16, 32, 33, 47, 48, 64, 100, 495, 496, 512, 5000]
    taken = [2, 2, 8, 8, 8, 32, 32, 32, 32, 64, 64, 64, 64, 512, 512, 512]
    assert [size_for(rows, sizes) for rows in asked] == taken
    assert cost(1024, sizes) == 2 * (512 + 16)
    assert cost(33, sizes) == 32 + 16 + 2 + 16


def test_sizes_to_try() -> None:
    assert sizes_to_try(CPU, 10) == (2, 4, 8)
    assert sizes_to_try(CPU, 1) == (2,)
    # 3 threads get 22 rows of 1,040 numbers each, but not a third of 64 rows.
    assert sizes_to_try(CPU, 66, [1040], threads=3)[-2:] == (48, 66)
    assert sizes_to_try(CPU, 66, [1040], threads=2)[-2:] == (48, 64)
    assert sizes_to_try(torch.device("cuda"), 200) == (32, 64, 128)
    assert sizes_to_try(torch.device("cuda"), 5) == (32,)
