"""How good a model is: figures, what is not defined, warnings, curves."""

import json
import re

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import ModelCard
from sigmoid_models.evaluation.curves import MOST_CURVES, curves_of
from sigmoid_models.evaluation.evaluation import (
    Evaluation,
    card_metrics,
    evaluate,
    scored_logits,
)
from sigmoid_models.evaluation.losses import Losses
from sigmoid_models.evaluation.metrics import (
    Scored,
    expected_calibration_error,
    one_against_rest,
)
from sigmoid_models.evaluation.names import MEASURES
from sigmoid_models.evaluation.page import Report, page


def evaluated(
    likely: NDArray[np.float64], targets: list[int] | NDArray[np.int64]
) -> Evaluation:
    count = max(2, likely.shape[1])
    classes = tuple(f"class {index}" for index in range(count))
    if likely.shape[1] == 1:
        predicted = (likely[:, 0] >= 0.5).astype(np.int64)
    else:
        predicted = likely.argmax(axis=1)
    return evaluate(Scored(likely, predicted, np.asarray(targets), classes))


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
    found = card_metrics(evaluated(likely, [1, 1, 0, 0]))
    entropy = -np.log([0.8, 0.4, 0.9, 0.3]).mean()
    assert found.accuracy == 0.5
    assert found.log_loss == pytest.approx(entropy)
    assert found.brier == pytest.approx((0.04 + 0.36 + 0.01 + 0.49) / 4)
    assert found.roc_auc == 0.75


def test_measures_of_many_classes_by_hand() -> None:
    likely = np.array([[0.9, 0.2, 0.1], [0.3, 0.6, 0.2], [0.5, 0.1, 0.4]])
    found = card_metrics(evaluated(likely, [0, 1, 2]))
    true = np.array([[0.9, 0.8, 0.9], [0.7, 0.6, 0.8], [0.5, 0.9, 0.4]])
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.log_loss == pytest.approx(-np.log(true).mean())
    assert found.brier == pytest.approx(np.square(1 - true).mean())


def test_certainty_that_is_wrong_has_a_finite_loss() -> None:
    found = card_metrics(evaluated(np.array([[1.0], [0.0]]), [0, 1]))
    assert found.accuracy == 0
    assert 700 < found.log_loss < 710


def test_two_classes_as_scikit_learn_has_them() -> None:
    generator = np.random.default_rng(2)
    targets = generator.integers(0, 2, 500)
    likely = np.clip(0.3 * targets + generator.random(500) * 0.7, 0, 1)
    predicted = likely >= 0.5
    found = evaluated(likely[:, None], targets)
    assert found.undefined == {}
    assert found.measures == pytest.approx(
        {
            "accuracy": accuracy_score(targets, predicted),
            "majority_share": max(targets.mean(), 1 - targets.mean()),
            "balanced_accuracy": balanced_accuracy_score(targets, predicted),
            "precision": precision_score(targets, predicted),
            "recall": recall_score(targets, predicted),
            "average_precision": average_precision_score(targets, likely),
            "roc_auc": roc_auc_score(targets, likely),
            "log_loss": log_loss(targets, likely),
            "brier": brier_score_loss(targets, likely),
            "ece": found.measures["ece"],
        }
    )
    assert list(found.measures) == list(MEASURES)
    assert (found.matrix() == confusion_matrix(targets, predicted)).all()


def test_many_classes_as_scikit_learn_has_them() -> None:
    generator = np.random.default_rng(3)
    targets = generator.integers(0, 5, 800)
    likely = generator.random((800, 5)) + np.eye(5)[targets] * 0.4
    likely /= 2
    predicted = likely.argmax(axis=1)
    found = evaluated(likely, targets)
    truth = np.eye(5)[targets]
    expected = {
        "balanced_accuracy": balanced_accuracy_score(targets, predicted),
        "precision": precision_score(targets, predicted, average="macro"),
        "recall": recall_score(targets, predicted, average="macro"),
        "average_precision": average_precision_score(truth, likely, average="macro"),
        "roc_auc": roc_auc_score(truth, likely, average="macro"),
    }
    assert {name: found.measures[name] for name in expected} == pytest.approx(expected)
    assert (found.matrix() == confusion_matrix(targets, predicted)).all()
    worst = found.mistakes(3)
    assert len(worst) == 3
    assert worst[0].rows == (found.matrix() * (1 - np.eye(5))).max()


def test_a_rare_class_that_is_never_found() -> None:
    targets = np.arange(1000) < 10
    found = evaluated(np.full((1000, 1), 0.01), targets.astype(np.int64))
    assert found.measures["accuracy"] == found.measures["majority_share"] == 0.99
    assert found.measures["balanced_accuracy"] == 0.5
    assert found.measures["recall"] == 0
    assert found.undefined == {"precision": "no row was given 'class 1'"}
    accuracy, balanced, never = found.warnings
    assert "0.9900, is not above the share of the largest class" in accuracy
    assert "near 0.5000, that of chance" in balanced
    assert "never predicted, though there are rows: 'class 1' (10 rows)" in never


def test_a_good_model_has_no_warning() -> None:
    targets = np.arange(100) % 2
    found = evaluated(np.where(targets == 1, 0.9, 0.1)[:, None], targets)
    assert found.warnings == ()
    assert found.measures["accuracy"] == 1


def test_a_class_without_rows() -> None:
    likely = np.array([[0.9, 0.2, 0.1], [0.3, 0.6, 0.2], [0.5, 0.1, 0.4]] * 5)
    found = evaluated(likely, [0, 1, 0] * 5)
    assert found.measures["balanced_accuracy"] == 1
    assert found.undefined == {
        "precision": "no row was given 'class 2'",
        "recall": "no row is of 'class 2'",
        "average_precision": "no row is of 'class 2'",
        "roc_auc": "no row is of 'class 2'",
    }
    assert found.per_class[2][1:] == (0, 0, None, None, None, None)
    assert found.warnings == (
        "without rows here, so nothing is known of them: 'class 2'",
    )
    assert card_metrics(found).roc_auc is None
    assert [curve.name for curve in curves_of(found).roc] == ["class 0", "class 1"]


@pytest.mark.parametrize("outputs", [1, 3])
def test_rows_of_one_class(outputs: int) -> None:
    found = evaluated(np.full((6, outputs), 0.2), [0] * 6)
    assert "balanced_accuracy" in found.undefined
    assert "roc_auc" in found.undefined
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("all rows are of 'class 0': ")
    assert len(curves_of(found).roc) == 0
    json.dumps(found.document(), allow_nan=False)


def test_a_single_row() -> None:
    found = evaluated(np.array([[0.7]]), [1])
    assert found.measures["accuracy"] == 1
    assert "too few rows to say much: 'class 1' (1 row)" in found.warnings


def test_very_many_classes() -> None:
    generator = np.random.default_rng(4)
    targets = np.repeat(np.arange(150), 4)
    found = evaluated(generator.random((600, 150)), targets)
    document = found.document()
    assert document["confusion_matrix"] is None
    assert len(document["mistakes"]) == 100
    assert sum(each.rows for each in found.confusions) == 600
    assert len(curves_of(found).roc) == MOST_CURVES
    assert "more classes" in " ".join(found.warnings)


def test_curves_end_where_they_must_and_are_short() -> None:
    generator = np.random.default_rng(5)
    targets = generator.integers(0, 2, 20_000)
    likely = np.clip(generator.normal(0.4 + 0.2 * targets, 0.2), 0, 1)
    curves = curves_of(evaluated(likely[:, None], targets))
    [roc], [precision] = curves.roc, curves.precision
    assert len(roc.x) <= 400
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)
    assert precision.x[0] == 1
    assert precision.y[0] == pytest.approx(targets.mean())
    area = np.trapezoid(roc.y, roc.x)
    assert area == pytest.approx(roc_auc_score(targets, likely), abs=1e-3)
    assert curves.reliability.rows.sum() == 20_000
    assert len(curves.reliability.said) <= 15


def test_threshold_link_and_temperature_are_those_of_the_card() -> None:
    logits = np.array([[0.0, 1.0], [3.0, 1.0]])
    card = ModelCard(
        architecture=Architecture(kind="Classifier", sizes=(1, 1, 2)),
        activation="sigmoid",
        task="multiclass",
        link="softmax",
        classes=("a", "b"),
        temperature=2.0,
    )
    scored = scored_logits(logits, card, np.array([1, 0]))
    shares = np.exp(logits / 2)
    np.testing.assert_allclose(scored.likely, shares / shares.sum(1, keepdims=True))
    assert scored.predicted.tolist() == [1, 0]
    binary = card.model_copy(
        update={"task": "binary", "link": "sigmoid", "thresholds": (0.2,)}
    )
    scored = scored_logits(np.array([[-1.0], [-9.0]]), binary, np.array([1, 0]))
    assert scored.predicted.tolist() == [1, 0]
    assert scored.likely[0, 0] == pytest.approx(1 / (1 + np.exp(0.5)))


def test_a_page_asks_for_nothing_and_escapes_names() -> None:
    generator = np.random.default_rng(6)
    targets = generator.integers(0, 3, 300)
    likely = generator.random((300, 3)) / 2 + np.eye(3)[targets] * 0.3
    classes = ("<script>alert(1)</script>", "a & b", '"$x^2$"')
    scored = Scored(likely, likely.argmax(axis=1), targets, classes)
    report = Report(
        title="<i>flowers</i>",
        subtitle="300 rows",
        evaluation=evaluate(scored),
        losses=Losses([0.5, 0.4], [0.6, 0.5], 2),
        facts={"<b>": "<u>"},
        notes=("the column '<img src=x>' only numbers the rows",),
    )
    text = page(report)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    for raw in ("<i>", "<b>&", "<u>", "<img"):
        assert raw not in text
    assert not re.search(r'https?:|url\((?!#)|@import|src="|<link', text)
    identifiers = re.findall(r' id="([^"]+)"', text)
    assert len(identifiers) == len(set(identifiers)) > 0
    for asked in re.findall(r"url\(#([^)]+)\)", text):
        assert asked in identifiers
    assert text.count("<svg") == 4
    # Colours are the page's own, in the light and in the dark.
    figures = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert not re.search(r"#[0-9a-f]{6}\b", figures)
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", text)) - {"--share"}
    for name in used:
        assert text.count(f"{name}: #") == 2, name
    assert page(report) == text


def test_a_page_of_very_many_classes_is_bounded() -> None:
    generator = np.random.default_rng(7)
    targets = np.repeat(np.arange(400), 3)
    text = page(Report("m", "rows", evaluated(generator.random((1200, 400)), targets)))
    assert "Most frequent mistakes" in text
    assert "and 200 more classes" in text
    assert len(text) < 400_000


def test_a_page_of_a_single_row() -> None:
    text = page(Report("m", "row", evaluated(np.array([[0.7]]), [1])))
    assert "not defined" in text
    assert text.count("<svg") == 1
