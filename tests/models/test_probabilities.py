"""From logits to probabilities and labels: extremes, ties, shapes."""

import numpy as np
import pytest

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import ModelCard
from sigmoid_models.probabilities import labels, probabilities


def card(temperature: float, outputs: int = 3) -> ModelCard:
    return ModelCard(
        architecture=Architecture(kind="Classifier", sizes=(4, 5, outputs)),
        task="multiclass",
        temperature=temperature,
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
