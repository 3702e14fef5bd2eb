"""The rows of a dataset, split for training and standardised; needs scikit-learn."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.model_selection import train_test_split
from torch import Tensor

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import ModelCard, Scaler, usual_task
from sigmoid_models.dtype import Float64Array
from sigmoid_models.logits import standardise
from sigmoid_models.training.datasets import Dataset, DatasetError
from sigmoid_models.evaluation.metrics import one_against_rest


class Part(NamedTuple):
    """The training, the validation or the test rows.

    Attributes:
        rows: Raw features, `(rows, features)`.
        features: The same standardised, as the network sees them.
        truth: 0 or 1 for each output, `(rows, outputs)`.
        targets: Index of each row's class, `(rows,)`.
    """

    rows: Float64Array
    features: Tensor
    truth: Tensor
    targets: NDArray[np.int64]


def split(
    dataset: Dataset, architecture: Architecture, seed: int
) -> tuple[ModelCard, list[Part]]:
    """Split by class, 60 : 20 : 20, and standardise by the training rows alone.

    Returns:
        A card with the scaler and the names, and the training, validation and test
        rows.

    Raises:
        DatasetError: A name is empty or too long, or the values of a feature are too
            large to be standardised.
    """
    targets = dataset.targets
    indices = np.arange(len(targets))
    rest, test = train_test_split(
        indices, test_size=0.2, stratify=targets, random_state=seed
    )
    training, validation = train_test_split(
        rest, test_size=0.25, stratify=targets[rest], random_state=seed
    )
    try:
        card = ModelCard(
            architecture=architecture,
            activation="sigmoid",
            task=usual_task(architecture.outputs),
            features=dataset.features,
            scaler=_scaler(dataset, dataset.rows[training]),
            classes=dataset.classes,
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DatasetError(f"{dataset.name}: {place}: {first['msg']}") from None
    parts = [
        Part(
            rows := dataset.rows[chosen],
            torch.from_numpy(_network_inputs(dataset, card, rows)),
            torch.from_numpy(
                one_against_rest(targets[chosen], architecture.outputs)
            ).float(),
            targets[chosen],
        )
        for chosen in (training, validation, test)
    ]
    return card, parts


def _scaler(dataset: Dataset, rows: Float64Array) -> Scaler:
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    _check_finite(
        np.stack([mean, deviation]),
        dataset,
        "too large to be standardised; divide them by a constant",
    )
    return Scaler(
        mean=tuple(mean.tolist()),
        scale=tuple(np.where(deviation == 0, 1.0, deviation).tolist()),
    )


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
