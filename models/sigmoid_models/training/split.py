"""The rows of a dataset, split for training and standardised; needs scikit-learn."""

from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import QUANTILES, ModelCard, Scaler, usual_task
from sigmoid_models.dtype import Float64Array
from sigmoid_models.evaluation.metrics import one_against_rest
from sigmoid_models.logits import standardise
from sigmoid_models.training.datasets import Dataset, DatasetError, check_rows_per_class
from sigmoid_models.training.options import TrainingOptions

Indices = NDArray[np.int64]

MOST_FEATURES_WITH_QUANTILES: Final = 1024
"""Of more, a card would have little room for their names, which count as well."""


class Part(NamedTuple):
    """The training, the validation or the test rows.

    Attributes:
        rows: Raw features, `(rows, features)`.
        features: The same standardised, as the network sees them.
        truth: 0 or 1 for each output, `(rows, outputs)`.
        targets: Index of each row's class, `(rows,)`.
        weights: How much each row counts, `(rows, 1)`; None where all count the same.
    """

    rows: Float64Array
    features: Tensor
    truth: Tensor
    targets: NDArray[np.int64]
    weights: Tensor | None

    def on(self, device: str) -> "Part":
        """Copy the tensors to a device."""
        return self._replace(
            features=self.features.to(device),
            truth=self.truth.to(device),
            weights=None if self.weights is None else self.weights.to(device),
        )


class Parts(NamedTuple):
    """The rows of a training."""

    training: Part
    validation: Part
    test: Part


class Given(NamedTuple):
    """Rows that are not split off, because there are some.

    Attributes:
        validation: With the features and classes of the training rows.
        test: The same.
    """

    validation: Dataset | None = None
    test: Dataset | None = None


def split(
    dataset: Dataset,
    architecture: Architecture,
    options: TrainingOptions,
    given: Given,
) -> tuple[ModelCard, Parts]:
    """Split by class, 60 : 20 : 20, and standardise by the training rows alone.

    What is given is not split off; the rest is then split 80 : 20, or not at all.

    Returns:
        A card with the scaler and the names, and the training, validation and test
        rows.

    Raises:
        DatasetError: A class has too few rows, a name is empty or too long, or the
            values of a feature are too large to be standardised.
    """
    is_whole = given.validation is not None and given.test is not None
    check_rows_per_class(dataset, 1 if is_whole else 5)
    training, validation, test = _indices(dataset.targets, options.seed, given)
    card = _card(dataset, architecture, dataset.rows[training])
    weights = _class_weights(dataset.targets[training], options)
    parts = [
        _part(whole, card, chosen, weights)
        for whole, chosen in (
            (dataset, training),
            (given.validation or dataset, validation),
            (given.test or dataset, test),
        )
    ]
    return card, Parts(*parts)


def _indices(
    targets: NDArray[np.int64], seed: int, given: Given
) -> tuple[Indices, Indices, Indices]:
    """Choose the rows of each part; of what is given, all of them."""
    rest, share = np.arange(len(targets)), 0.2
    if given.test is None:
        rest, test = train_test_split(
            rest, test_size=0.2, stratify=targets, random_state=seed
        )
        share = 0.25
    else:
        test = np.arange(len(given.test.targets))
    if given.validation is None:
        rest, validation = train_test_split(
            rest, test_size=share, stratify=targets[rest], random_state=seed
        )
    else:
        validation = np.arange(len(given.validation.targets))
    return rest, validation, test


def _class_weights(
    targets: NDArray[np.int64], options: TrainingOptions
) -> Float64Array | None:
    if options.class_weights is None:
        return None
    classes = np.arange(targets.max() + 1)
    return np.asarray(
        compute_class_weight(options.class_weights, classes=classes, y=targets)
    )


def _card(
    dataset: Dataset, architecture: Architecture, rows: Float64Array
) -> ModelCard:
    try:
        return ModelCard(
            architecture=architecture,
            activation="sigmoid",
            task=usual_task(architecture.outputs),
            features=dataset.features,
            scaler=_scaler(dataset, rows),
            classes=dataset.classes,
            quantiles=_quantiles(rows),
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DatasetError(f"{dataset.name}: {place}: {first['msg']}") from None


def _part(
    dataset: Dataset, card: ModelCard, chosen: Indices, weights: Float64Array | None
) -> Part:
    rows, targets = dataset.rows[chosen], dataset.targets[chosen]
    truth = one_against_rest(targets, card.architecture.outputs)
    return Part(
        rows,
        torch.from_numpy(_network_inputs(dataset, card, rows)),
        torch.from_numpy(truth).float(),
        targets,
        None if weights is None else torch.from_numpy(weights[targets, None]).float(),
    )


def _scaler(dataset: Dataset, rows: Float64Array) -> Scaler:
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    _check_finite(
        np.stack([mean, deviation]),
        dataset,
        "too large to be standardised; divide them by a constant",
    )
    # Rounding makes more than 0 of the deviation of equal numbers, and 0 of a tiny one.
    are_equal = rows.min(axis=0) == rows.max(axis=0)
    return Scaler(
        mean=tuple(np.where(are_equal, rows[0], mean).tolist()),
        scale=tuple(np.where(are_equal | (deviation == 0), 1.0, deviation).tolist()),
    )


def _quantiles(rows: Float64Array) -> tuple[tuple[float, ...], ...] | None:
    if rows.shape[1] > MOST_FEATURES_WITH_QUANTILES:
        return None
    found = np.quantile(rows, np.linspace(0, 1, QUANTILES), axis=0)
    # Six digits are enough to draw; the ends say which rows are like those of training.
    found[1:-1] = [[float(f"{value:.6g}") for value in row] for row in found[1:-1]]
    rising = np.maximum.accumulate(np.clip(found, found[0], found[-1]), axis=0)
    return tuple(map(tuple, rising.T.tolist()))


def _network_inputs(
    dataset: Dataset, card: ModelCard, rows: Float64Array
) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        features = standardise(rows, card).astype(np.float32)
    _check_finite(
        features,
        dataset,
        "beyond float32 in some row, once standardised; correct or remove that row",
    )
    return features


def _check_finite(values: NDArray[Any], dataset: Dataset, finding: str) -> None:
    finite = np.isfinite(values).all(axis=0)  # (features,)
    if not finite.all():
        name = dataset.features[int(np.argmin(finite))]
        raise DatasetError(f"{dataset.name}: the values of {name!r} are {finding}")
