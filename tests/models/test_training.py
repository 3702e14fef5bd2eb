"""Training: what it gives, that it repeats, and what is shipped."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sigmoid_models.card import Metrics
from sigmoid_models.checkpoint import load_checkpoint, save_checkpoint
from sigmoid_models.training.datasets import Dataset, DatasetError, load_bundled
from sigmoid_models.training.fit import Epoch, TrainingOptions, train
from sigmoid_models.evaluation.metrics import (
    expected_calibration_error,
    measure,
    one_against_rest,
)
from sigmoid_serve.engine.engine import Engine
from sigmoid_serve.repository.model_repository import PRETRAINED

DEEP = TrainingOptions(model="deep")
SHIPPED = {"breast-cancer": TrainingOptions(), "digits": DEEP}


def shipped(name: str) -> Path:
    return PRETRAINED / name / "1" / "model.safetensors"


def table(targets: list[int], features: int = 2) -> Dataset:
    rows = np.random.default_rng(0).standard_normal((len(targets), features))
    classes = tuple(f"class {index}" for index in range(max(targets) + 1))
    names = tuple(f"x{index}" for index in range(features))
    return Dataset("made", rows, names, np.array(targets), classes)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_model_is_right(name: str) -> None:
    checkpoint = load_checkpoint(shipped(name))
    assert checkpoint.card.golden
    assert len(checkpoint.card.golden.inputs) == 4
    assert Engine(checkpoint, torch.device("cpu"), 4096).golden_fault() is None
    dataset = load_bundled(name)
    assert checkpoint.card.features == dataset.features
    assert checkpoint.card.classes == dataset.classes


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_metrics_are_reached_again(name: str) -> None:
    card = train(load_bundled(name), SHIPPED[name]).card
    claimed = load_checkpoint(shipped(name)).card
    assert claimed.metrics
    assert card.metrics
    assert claimed.training
    assert card.training
    assert card.architecture == claimed.architecture
    assert card.training.rows == claimed.training.rows
    for metric in Metrics.model_fields:
        claim = getattr(claimed.metrics, metric)
        assert getattr(card.metrics, metric) == pytest.approx(claim, abs=0.02)


@pytest.mark.parametrize("model", ["shallow", "deep"])
@pytest.mark.parametrize("init", ["sigmoid", "default"])
def test_a_seed_gives_the_same_bytes(tmp_path: Path, model: Any, init: Any) -> None:
    options = replace(TrainingOptions(epochs=3, layers=2), model=model, init=init)
    paths = [tmp_path / f"{run}.safetensors" for run in range(3)]
    for path, seed in zip(paths, (0, 0, 1), strict=True):
        torch.manual_seed(len(path.name))  # the global generator must not matter
        torch.rand(3)
        trained = train(load_bundled("iris"), replace(options, seed=seed))
        save_checkpoint(path, trained.network, trained.card)
    first, second, other = (path.read_bytes() for path in paths)
    assert first == second != other


def test_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    train(load_bundled("iris"), TrainingOptions(epochs=1))
    assert torch.equal(before, torch.random.get_rng_state())


def test_initialisation_decides_whether_gradients_arrive() -> None:
    ratios = {}
    for init in ("sigmoid", "default"):
        options = replace(DEEP, epochs=1, init=init)
        card = train(load_bundled("digits"), options).card
        assert card.training
        norms = card.training.gradient_norms_initial
        assert len(norms) == len(card.training.gradient_norms_final) == 7
        ratios[init] = norms[0] / norms[-1]
    assert ratios["sigmoid"] > 1e-2
    assert ratios["default"] < 1e-4


def test_patience_ends_and_the_best_epoch_is_kept() -> None:
    seen: list[Epoch] = []
    options = TrainingOptions(epochs=400, patience=3, learning_rate=0.05)
    card = train(load_bundled("wine"), options, seen.append).card
    assert card.training
    best = min(seen, key=lambda epoch: epoch.validation_loss)
    assert card.training.epochs == best.number == len(seen) - 3
    assert [epoch.number for epoch in seen] == list(range(1, len(seen) + 1))


def test_smallest_dataset() -> None:
    card = train(table([0] * 5 + [1] * 5), TrainingOptions(epochs=1)).card
    assert card.task == "binary"
    assert card.training
    assert card.training.rows == (6, 2, 2)


def test_uneven_classes() -> None:
    for more in range(6, 30):
        card = train(table([0] * 5 + [1] * more + [2] * 5), TrainingOptions(epochs=1))
        assert card.card.task == "multiclass"


def test_a_constant_feature_is_scaled_by_one() -> None:
    dataset = table([0, 1] * 10)
    dataset.rows[:, 1] = 7.0
    card = train(dataset, TrainingOptions(epochs=1)).card
    assert card.scaler
    assert card.scaler.mean[1] == 7
    assert card.scaler.scale[1] == 1


def test_too_few_rows() -> None:
    with pytest.raises(DatasetError, match="made: a class has fewer than five rows"):
        train(table([0] * 50 + [1] * 4), TrainingOptions())


@pytest.mark.parametrize("value", [1e150, -1e300, 1.7e308])
def test_a_value_beyond_float32(value: float) -> None:
    messages = []
    for row in range(20):
        dataset = table([0, 1] * 10)
        dataset.rows[row, 1] = value
        try:
            train(dataset, TrainingOptions(epochs=1))
        except DatasetError as error:
            messages.append(str(error))
    # A training row so large makes a scale that fits it, where float64 holds that.
    assert len(messages) == (8 if value == 1e150 else 20)
    for message in messages:
        assert message.startswith("made: the values of 'x1' are ")
        assert "; " in message


def test_a_mean_beyond_float64() -> None:
    dataset = table([0, 1] * 10)
    dataset.rows[:, 0] = 1.7e308
    with pytest.raises(DatasetError, match="'x0' are too large to be standardised; "):
        train(dataset, TrainingOptions(epochs=1))


def test_one_against_rest() -> None:
    targets = np.array([0, 2, 1])
    expected = [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    assert one_against_rest(targets, 3).tolist() == expected
    assert one_against_rest(np.array([0, 1]), 1).tolist() == [[0], [1]]


def test_expected_calibration_error_by_hand() -> None:
    # Bins of 1/15: 0.61 and 0.65 share the tenth, 1.0 is in the last.
    confidence = np.array([0.61, 0.65, 0.95, 1.0])
    right = np.array([True, False, True, True])
    expected = (abs((0.39) + (-0.65)) + abs(0.05 + 0.0)) / 4
    error = expected_calibration_error(confidence, right)
    assert error == pytest.approx(expected, abs=1e-12)
    sure = np.ones(3)
    assert expected_calibration_error(sure, np.ones(3, dtype=bool)) == 0
    assert expected_calibration_error(sure, np.zeros(3, dtype=bool)) == 1


def test_measures_by_hand() -> None:
    likely = np.array([[0.8], [0.4], [0.1], [0.7]])
    found = measure(likely, np.array([1, 1, 0, 0]))
    entropy = -np.log([0.8, 0.4, 0.9, 0.3]).mean()
    assert found.accuracy == 0.5
    assert found.log_loss == pytest.approx(entropy)
    assert found.brier == pytest.approx((0.04 + 0.36 + 0.01 + 0.49) / 4)
    assert found.roc_auc == 0.75


def test_measures_of_many_classes_by_hand() -> None:
    likely = np.array([[0.9, 0.2, 0.1], [0.3, 0.6, 0.2], [0.5, 0.1, 0.4]])
    found = measure(likely, np.array([0, 1, 2]))
    true = np.array([[0.9, 0.8, 0.9], [0.7, 0.6, 0.8], [0.5, 0.9, 0.4]])
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.log_loss == pytest.approx(-np.log(true).mean())
    assert found.brier == pytest.approx(np.square(1 - true).mean())


def test_certainty_that_is_wrong_has_a_finite_loss() -> None:
    found = measure(np.array([[1.0], [0.0]]), np.array([0, 1]))
    assert found.accuracy == 0
    assert 700 < found.log_loss < 710
