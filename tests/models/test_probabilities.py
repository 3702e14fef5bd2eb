"""From logits to probabilities and labels: extremes, ties, shapes."""

import numpy as np
import pytest
import torch

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import Link, ModelCard
from sigmoid_models.probabilities import labels, probabilities


def card(temperature: float, outputs: int = 3, link: Link = "sigmoid") -> ModelCard:
    return ModelCard(
        architecture=Architecture(kind="Classifier", sizes=(4, 5, outputs)),
        activation="sigmoid",
        task="multiclass",
        temperature=temperature,
        link=link,
    )


@pytest.mark.parametrize("temperature", [1e-310, 5e-324, 1e-300])
def test_a_tiny_temperature_leaves_no_doubt(temperature: float) -> None:
    smallest, largest = np.float32(1e-45), np.finfo(np.float32).max
    logits = np.array(
        [-largest, -1, -smallest, -0.0, 0, smallest, 1, largest], dtype=np.float32
    )
    likely = probabilities(logits, card(temperature))
    assert likely.tolist() == [0, 0, 0, 0.5, 0.5, 1, 1, 1]
    assert likely.dtype == np.float32


def test_a_huge_temperature_leaves_nothing_but_doubt() -> None:
    logits = np.array([[-1e38, 0, 1e38]], dtype=np.float32)
    assert probabilities(logits, card(1.7e308)).tolist() == [[0.5, 0.5, 0.5]]


def test_probabilities_by_hand() -> None:
    logits = np.array([-2, 0, 2], dtype=np.float32)
    expected = 1 / (1 + np.exp([1.0, 0.0, -1.0]))
    np.testing.assert_allclose(probabilities(logits, card(2)), expected, rtol=1e-7)


@pytest.mark.parametrize("outputs", [2, 3])
@pytest.mark.parametrize("shape", [(), (7,), (0,), (2, 3)])
def test_the_first_of_the_largest_logits_is_the_label(
    outputs: int, shape: tuple[int, ...]
) -> None:
    # Few values, so that many rows have ties; -0.0 and 0.0 are one too.
    drawn = np.random.default_rng(0).choice([-1.0, -0.0, 0.0], size=(*shape, outputs))
    logits = drawn.astype(np.float32)
    found = labels(logits, logits, card(1, outputs))
    assert found.shape == shape
    assert found.dtype == np.int64
    rows = logits.reshape(-1, outputs).tolist()
    assert found.ravel().tolist() == [row.index(max(row)) for row in rows]


@pytest.mark.parametrize("temperature", [1, 0.3, 7])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (500,), (2, 3)])
@pytest.mark.parametrize("outputs", [2, 3, 10, 33, 1000])
def test_the_softmax_of_rows(
    outputs: int, shape: tuple[int, ...], temperature: float
) -> None:
    drawn = np.random.default_rng(outputs).normal(0, 9, (*shape, outputs))
    logits = drawn.astype(np.float32)
    likely = probabilities(logits, card(temperature, outputs, "softmax"))
    assert likely.dtype == np.float32
    wide = torch.from_numpy(logits).double() / temperature
    expected = wide.softmax(-1).numpy()
    # Once rounded, from a sum whose error is far below float32's.
    np.testing.assert_allclose(likely, expected, rtol=2**-24 + 1e-12, atol=2**-149)
    # Each row is as it is alone, to the last bit.
    for row, alone in zip(
        likely.reshape(-1, outputs)[:20], logits.reshape(-1, outputs), strict=False
    ):
        found = probabilities(alone, card(temperature, outputs, "softmax"))
        assert found.tobytes() == row.tobytes()


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1.0, 1.7e308])
def test_the_softmax_of_extremes(temperature: float) -> None:
    largest = np.finfo(np.float32).max
    rows = [[largest, -largest, 0], [largest] * 3, [-largest] * 3, [0, -0.0, 0]]
    logits = np.array(rows, dtype=np.float32)
    with np.errstate(all="raise", under="ignore"):
        likely = probabilities(logits, card(temperature, link="softmax"))
    third = np.float32(1 / 3)
    assert likely[1:].tolist() == [[third] * 3] * 3
    sure = [third] * 3 if temperature > 1 else [1, 0, 0]
    np.testing.assert_allclose(likely[0], sure, rtol=1e-6)


def test_a_card_of_the_sigmoid_gives_no_softmax() -> None:
    logits = np.array([[3, 4, 5]], dtype=np.float32)
    assert probabilities(logits, card(1)).sum() > 2
