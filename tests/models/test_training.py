"""Training: what it gives, that it repeats, and what is shipped."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sigmoid_models.card import Metrics, ModelCard
from sigmoid_models.checkpoint import load_checkpoint, save_checkpoint
from sigmoid_models.dtype import Float64Array
from sigmoid_models.training.datasets import Dataset, DatasetError, load_bundled
from sigmoid_models.training.epochs import Epoch, StoppedError, Watch
from sigmoid_models.training.fit import GOLDEN_ROWS, train
from sigmoid_models.training.options import TrainingOptions
from sigmoid_models.training.split import (
    MOST_FEATURES_WITH_QUANTILES,
    Given,
    split,
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


def check_quantiles(card: ModelCard, rows: Float64Array) -> None:
    """Look at how features are spread: to six digits, and exactly at the ends."""
    want = np.quantile(rows, np.linspace(0, 1, 32), axis=0).T
    got = np.array(card.quantiles)
    np.testing.assert_allclose(got, want, rtol=5e-6)
    assert (got[:, 0] == rows.min(axis=0)).all()
    assert (got[:, -1] == rows.max(axis=0)).all()
    inner = [value for row in got[:, 1:-1].tolist() for value in row]
    exact = {value for row in got[:, [0, -1]].tolist() for value in row}
    assert all(v in exact or v == float(f"{v:.6g}") for v in inner)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_model_is_right(name: str) -> None:
    checkpoint = load_checkpoint(shipped(name))
    assert checkpoint.card.golden
    assert len(checkpoint.card.golden.inputs) == GOLDEN_ROWS
    assert Engine(checkpoint, torch.device("cpu"), 4096).golden_fault() is None
    dataset = load_bundled(name)
    assert checkpoint.card.features == dataset.features
    assert checkpoint.card.classes == dataset.classes
    _, parts = split(dataset, checkpoint.card.architecture, SHIPPED[name], Given())
    check_quantiles(checkpoint.card, parts.training.rows)
    assert {*checkpoint.card.golden.inputs} <= {*map(tuple, parts.test.rows.tolist())}


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
        assert claim is not None
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
    card = train(load_bundled("wine"), options, Watch(seen.append)).card
    assert card.training
    best = min(seen, key=lambda epoch: epoch.validation_loss)
    assert card.training.epochs == best.number == len(seen) - 3
    assert [epoch.number for epoch in seen] == list(range(1, len(seen) + 1))


def test_stopping_keeps_the_best_network_so_far() -> None:
    options = TrainingOptions(epochs=50)
    full = train(load_bundled("wine"), replace(options, epochs=4))
    seen: list[Epoch] = []
    watch = Watch(seen.append, is_stopped=lambda: len(seen) == 4)
    stopped = train(load_bundled("wine"), options, watch)
    assert stopped.is_stopped
    assert not full.is_stopped
    assert list(stopped.history) == seen
    assert stopped.card == full.card
    for tensor, other in zip(
        stopped.network.parameters(), full.network.parameters(), strict=True
    ):
        assert torch.equal(tensor, other)


def test_stopping_before_the_first_epoch_has_ended() -> None:
    asked = iter([False, True])
    watch = Watch(is_stopped=lambda: next(asked))
    with pytest.raises(StoppedError, match="before the first epoch had ended"):
        train(load_bundled("wine"), TrainingOptions(), watch)


def test_balanced_weights_find_a_rare_class() -> None:
    generator = np.random.default_rng(1)
    targets = (np.arange(2000) < 60).astype(np.int64)
    rows = generator.standard_normal((2000, 3)) + targets[:, None]
    dataset = Dataset("rare", rows, ("x", "y", "z"), targets, ("no", "yes"))
    options = TrainingOptions(epochs=30)
    plain = train(dataset, options)
    balanced = train(dataset, replace(options, class_weights="balanced"))
    recall = plain.evaluation.measures["recall"]
    assert balanced.evaluation.measures["recall"] > recall + 0.3
    assert balanced.card.training
    assert balanced.card.training.class_weights == "balanced"
    # What it says is no longer how often it comes true, which is 3 % of the rows.
    assert plain.evaluation.scored.likely.mean() == pytest.approx(0.03, abs=0.015)
    assert balanced.evaluation.scored.likely.mean() > 0.15


def test_given_rows_are_not_split_off() -> None:
    dataset, other = load_bundled("wine"), load_bundled("wine")
    other = replace(other, rows=other.rows[::3], targets=other.targets[::3])
    few = TrainingOptions(epochs=1)
    cases = (
        (Given(), (106, 36, 36)),
        (Given(test=other), (142, 36, 60)),
        (Given(validation=other), (142, 60, 36)),
        (Given(other, other), (178, 60, 60)),
    )
    for given, rows in cases:
        card = train(dataset, few, given=given).card
        assert card.training
        assert card.training.rows == rows


def test_classes_of_one_row_where_nothing_is_split_off() -> None:
    dataset = table([0, 1])
    given = Given(table([0, 1]), table([0, 0]))
    trained = train(dataset, TrainingOptions(epochs=1), given=given)
    assert trained.card.metrics
    assert trained.card.metrics.roc_auc is None
    assert "all rows are of 'class 0'" in trained.evaluation.warnings[0]
    assert "roc_auc" not in trained.card.metrics.model_dump_json(exclude_none=True)


def test_threads_asked_for_are_used() -> None:
    threads = torch.get_num_threads()
    seen = []
    watch = Watch(lambda _: seen.append(torch.get_num_threads()))
    train(load_bundled("iris"), TrainingOptions(epochs=1, threads=3), watch)
    assert seen == [3]
    assert torch.get_num_threads() == threads


def test_smallest_dataset() -> None:
    card = train(table([0] * 5 + [1] * 5), TrainingOptions(epochs=1)).card
    assert card.task == "binary"
    assert card.training
    assert card.training.rows == (6, 2, 2)


def test_uneven_classes() -> None:
    for more in range(6, 30):
        card = train(table([0] * 5 + [1] * more + [2] * 5), TrainingOptions(epochs=1))
        assert card.card.task == "multiclass"


# Sums of the second and third are rounded.
@pytest.mark.parametrize("value", [7.0, 7.123456789, 0.1, -1e-300])
def test_a_constant_feature_is_scaled_by_one(value: float) -> None:
    dataset = table([0, 1] * 10)
    dataset.rows[:, 1] = value
    card = train(dataset, TrainingOptions(epochs=1)).card
    assert card.scaler
    assert card.scaler.mean[1] == value
    assert card.scaler.scale[1] == 1
    assert card.quantiles
    assert card.quantiles[1] == (value,) * 32


def test_golden_rows_are_of_each_class_by_its_share() -> None:
    dataset, sorted_test = table([0, 1] * 10), table([0] * 30 + [1] * 10)
    given = Given(test=sorted_test)
    golden = train(dataset, TrainingOptions(epochs=1), given=given).card.golden
    assert golden
    rows = sorted_test.rows.tolist()
    chosen = [rows.index(list(row)) for row in golden.inputs]
    assert chosen == sorted({*chosen})
    assert [sum(index < 30 for index in chosen), len(chosen)] == [12, 16]


@pytest.mark.parametrize(
    ("features", "golden_rows"),
    [
        (MOST_FEATURES_WITH_QUANTILES, 16),
        (MOST_FEATURES_WITH_QUANTILES + 1, 16),
        (20_000, 3),
        (2**16, 0),
    ],
)
def test_a_card_of_many_features_can_be_read(
    tmp_path: Path, features: int, golden_rows: int
) -> None:
    dataset = table([0, 1] * 45, features)
    if features <= MOST_FEATURES_WITH_QUANTILES:  # signs in names count as well
        names = tuple(f"x[{index}, 0]" for index in range(features))
        dataset = replace(dataset, features=names)
    trained = train(dataset, TrainingOptions(epochs=1, hidden=1))
    golden = trained.card.golden
    assert len(golden.inputs if golden else ()) == golden_rows
    has_quantiles = trained.card.quantiles is not None
    assert has_quantiles == (features <= MOST_FEATURES_WITH_QUANTILES)
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, trained.network, trained.card)
    assert load_checkpoint(path).card == trained.card


def test_too_few_rows() -> None:
    with pytest.raises(DatasetError, match="'class 1' has 4 rows"):
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
