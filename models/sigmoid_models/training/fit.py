"""Fit a sigmoid network to a dataset; needs scikit-learn.

Each output learns by binary cross-entropy on its own, one class against the rest, so
that the sigmoid of a logit is the probability of that class.
"""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import Golden, ModelCard, Training
from sigmoid_models.classifier import linear_layers
from sigmoid_models.dtype import Float64Array
from sigmoid_models.exact_sigmoid import sigmoid64
from sigmoid_models.logits import reference_logits
from sigmoid_models.training.datasets import Dataset, DatasetError
from sigmoid_models.training.initialisation import initialise_for_sigmoid
from sigmoid_models.evaluation.metrics import measure
from sigmoid_models.training.split import Part, split

GOLDEN_ROWS = 4

# PyTorch's threads spin while they wait for each other. On two cores, a step of up to
# 70 million multiplications took 1.0 to 1.1 times as long with two threads as with one,
# and where others used the cores, up to 3 times; from 130 million on, 0.75 or less.
_PARALLEL_MULTIPLICATIONS = 10**8


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a training.

    Attributes:
        model: `shallow` is a `Classifier`, `deep` a `DeepClassifier`.
        hidden: Units of each hidden layer.
        layers: Hidden layers after the first, for `deep` only.
        seed: The seed of the split, the initialisation and the order of the rows.
        init: `sigmoid` (see `sigmoid_models.training.initialisation`) or `default`
            (PyTorch's).
        epochs: The most epochs.
        patience: Epochs without a better validation loss before it stops.
        learning_rate: The learning rate of Adam.
        batch_rows: Rows per step.
    """

    model: Literal["shallow", "deep"] = "shallow"
    hidden: int = 64
    layers: int = 5
    seed: int = 0
    init: Literal["sigmoid", "default"] = "sigmoid"
    epochs: int = 200
    patience: int = 20
    learning_rate: float = 5e-3
    batch_rows: int = 32


class Epoch(NamedTuple):
    """The results of one pass over the training rows; losses in nats."""

    number: int
    training_loss: float
    validation_loss: float
    validation_accuracy: float


class Trained(NamedTuple):
    """A fitted network, in float32 on the CPU, and its card."""

    network: nn.Module
    card: ModelCard


def train(
    dataset: Dataset,
    options: TrainingOptions,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> Trained:
    """Train a network on 60 % of the rows, validate on 20 %, measure it on 20 %.

    Training stops early, by the validation loss.

    The same dataset, options and machine give the same weights, bit for bit.

    Args:
        dataset: At least five rows of each class.
        options: See `TrainingOptions`.
        on_epoch: Called after each epoch.

    Raises:
        DatasetError: A class has fewer than five rows, a name is empty or longer
            than 128 characters, or the values of a feature are too large to be
            standardised.
        FloatingPointError: The loss overflowed: the learning rate is too high.
    """
    if np.bincount(dataset.targets).min() < 5:
        raise DatasetError(f"{dataset.name}: a class has fewer than five rows")
    architecture = _architecture(dataset, options)
    card, (training, validation, test) = split(dataset, architecture, options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    network = _initialised(architecture, options, generator)
    with _suited_threads(architecture, options):
        gradient_norms_initial = _gradient_norms(network, training)
        epochs = _fit(network, training, validation, options, generator, on_epoch)
        gradient_norms_final = _gradient_norms(network, training)
    network.requires_grad_(requires_grad=False)
    history = Training(
        dataset=dataset.name[:128],
        seed=options.seed,
        init=options.init,
        epochs=epochs,
        rows=(len(training.rows), len(validation.rows), len(test.rows)),
        gradient_norms_initial=gradient_norms_initial,
        gradient_norms_final=gradient_norms_final,
    )
    return Trained(network, _finished_card(card, network, test, history))


@contextmanager
def _suited_threads(
    architecture: Architecture, options: TrainingOptions
) -> Iterator[None]:
    """Compute with one thread where several would gain nothing."""
    threads = torch.get_num_threads()
    # One pass forward, and two backward: for the signals and for the weights.
    per_step = 3 * options.batch_rows * architecture.parameters
    if per_step < _PARALLEL_MULTIPLICATIONS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _architecture(dataset: Dataset, options: TrainingOptions) -> Architecture:
    features, classes = len(dataset.features), len(dataset.classes)
    hidden = [options.hidden] * (1 + options.layers * (options.model == "deep"))
    return Architecture(
        kind="DeepClassifier" if len(hidden) > 1 else "Classifier",
        sizes=(features, *hidden, 1 if classes == 2 else classes),
    )


def _initialised(
    architecture: Architecture, options: TrainingOptions, generator: torch.Generator
) -> nn.Module:
    # PyTorch's own initialisation draws from the global generator.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        network = architecture.build()
    if options.init == "sigmoid":
        initialise_for_sigmoid(network, generator)
    return network


def _fit(
    network: nn.Module,
    training: Part,
    validation: Part,
    options: TrainingOptions,
    generator: torch.Generator,
    on_epoch: Callable[[Epoch], None],
) -> int:
    """Train until the validation loss no longer falls; keep the best weights.

    Returns:
        The epoch of those weights.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
    best, best_epoch, best_weights = float("inf"), 0, network.state_dict()
    for number in range(1, options.epochs + 1):
        total = 0.0
        order = torch.randperm(len(training.features), generator=generator)
        for chosen in torch.split(order, options.batch_rows):
            optimiser.zero_grad()
            loss = _loss(network, training.features[chosen], training.truth[chosen])
            torch.autograd.backward(loss)
            optimiser.step()
            total += loss.item() * len(chosen)
        with torch.no_grad():
            logits = network(validation.features)
        loss_now = binary_cross_entropy_with_logits(logits, validation.truth).item()
        if not math.isfinite(loss_now):
            raise FloatingPointError(
                f"the loss is not finite after epoch {number}; lower the learning rate"
            )
        accuracy = _accuracy(logits, validation.targets)
        on_epoch(Epoch(number, total / len(order), loss_now, accuracy))
        if loss_now < best:
            best, best_epoch = loss_now, number
            best_weights = copy.deepcopy(network.state_dict())
        elif number - best_epoch >= options.patience:
            break
    network.load_state_dict(best_weights)
    return best_epoch


def _loss(network: nn.Module, features: Tensor, truth: Tensor) -> Tensor:
    return binary_cross_entropy_with_logits(network(features), truth)


def _accuracy(logits: Tensor, targets: NDArray[np.int64]) -> float:
    values = logits.numpy()
    predicted = values[:, 0] >= 0 if values.shape[1] == 1 else values.argmax(axis=1)
    return float((predicted == targets).mean())


def _gradient_norms(network: nn.Module, training: Part) -> tuple[float, ...]:
    """Norm of the loss's gradient by each layer's weights, over all training rows."""
    network.zero_grad()
    loss = _loss(network, training.features, training.truth)
    torch.autograd.backward(loss)
    norms = []
    for layer in linear_layers(network):
        gradient = layer.weight.grad
        norms.append(0.0 if gradient is None else float(gradient.norm()))
    network.zero_grad()
    return tuple(norms)


def _finished_card(
    card: ModelCard, network: nn.Module, test: Part, training: Training
) -> ModelCard:
    """Add to the card what was measured on the test rows, and the golden rows."""
    logits = reference_logits(network, card, test.rows)
    golden = test.rows[:GOLDEN_ROWS]
    finished = {
        "training": training,
        "metrics": measure(sigmoid64(logits), test.targets),
        "golden": Golden(
            inputs=_as_tuples(golden),
            logits=_as_tuples(reference_logits(network, card, golden)),
        ),
    }
    return card.model_copy(update=finished)


def _as_tuples(rows: Float64Array) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in rows.tolist())
