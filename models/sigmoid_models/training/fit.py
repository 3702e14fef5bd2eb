"""Fit a sigmoid network to a dataset; needs scikit-learn.

Each output learns by binary cross-entropy on its own, one class against the rest, so
that the sigmoid of a logit is the probability of that class.
"""

from typing import Final, NamedTuple

import numpy as np
import torch
from torch import nn

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import MOST_GOLDEN_NUMBERS, Golden, ModelCard, Training
from sigmoid_models.evaluation.evaluation import (
    Evaluation,
    card_metrics,
    evaluate,
    scored_logits,
)
from sigmoid_models.logits import golden_of, reference_logits
from sigmoid_models.training.datasets import Dataset
from sigmoid_models.training.epochs import (
    Epoch,
    Watch,
    gradient_norms,
    run_epochs,
    suited_threads,
)
from sigmoid_models.training.initialisation import initialise_for_sigmoid
from sigmoid_models.training.options import TrainingOptions
from sigmoid_models.training.split import Given, Part, split

GOLDEN_ROWS: Final = 16
"""The most that are kept; fewer of very many features."""

_NOBODY = Watch()
_NOTHING = Given()


class Trained(NamedTuple):
    """A fitted network, and what is known of it.

    Attributes:
        network: In float32 on the CPU.
        card: Its card.
        evaluation: How good it is on the test rows.
        history: The epochs, also those after the best.
        is_stopped: Whether the training was stopped, rather than done.
    """

    network: nn.Module
    card: ModelCard
    evaluation: Evaluation
    history: tuple[Epoch, ...]
    is_stopped: bool


def train(
    dataset: Dataset,
    options: TrainingOptions,
    watch: Watch = _NOBODY,
    given: Given = _NOTHING,
) -> Trained:
    """Train a network on 60 % of the rows, validate on 20 %, measure it on 20 %.

    Training stops early, by the validation loss.

    The same dataset, options and machine give the same weights, bit for bit.

    Args:
        dataset: At least five rows of each class, where any are split off.
        options: See `TrainingOptions`.
        watch: Who looks on, and may stop it.
        given: Validation or test rows that are not to be split off; the other rows
            are then divided 80 : 20, or all for training.

    Raises:
        DatasetError: A class has too few rows, a name is empty or longer than 128
            characters, or the values of a feature are too large to be standardised.
        FloatingPointError: The loss overflowed: the learning rate is too high.
        StoppedError: It was stopped before the first epoch had ended.
    """
    architecture = _architecture(dataset, options)
    card, parts = split(dataset, architecture, options, given)
    generator = torch.Generator().manual_seed(options.seed)
    network = _initialised(architecture, options, generator).to(options.device)
    training, validation = (
        part.on(options.device) for part in (parts.training, parts.validation)
    )
    with suited_threads(architecture, options):
        initial = gradient_norms(network, training)
        fitted = run_epochs(network, training, validation, options, generator, watch)
        final = gradient_norms(network, training)
    network.to("cpu").requires_grad_(requires_grad=False)
    evaluation = _evaluated(network, card, parts.test)
    history = Training(
        dataset=dataset.name[:128],
        seed=options.seed,
        init=options.init,
        class_weights=options.class_weights,
        epochs=fitted.best_epoch,
        rows=(len(training.rows), len(validation.rows), len(parts.test.rows)),
        gradient_norms_initial=initial,
        gradient_norms_final=final,
    )
    finished = {
        "training": history,
        "metrics": card_metrics(evaluation),
        "golden": _golden(network, card, parts.test),
    }
    return Trained(
        network,
        card.model_copy(update=finished),
        evaluation,
        fitted.history,
        fitted.is_stopped,
    )


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


def _evaluated(network: nn.Module, card: ModelCard, test: Part) -> Evaluation:
    logits = reference_logits(network, card, test.rows)
    return evaluate(scored_logits(logits, card, test.targets))


def _golden(network: nn.Module, card: ModelCard, test: Part) -> Golden | None:
    """Take rows of each class by its share of the test rows, in their order."""
    numbers = card.architecture.features + card.architecture.outputs
    count = min(GOLDEN_ROWS, len(test.rows), MOST_GOLDEN_NUMBERS // numbers)
    if not count:
        return None
    by_class = np.argsort(test.targets, kind="stable")
    middles = (2 * np.arange(count) + 1) * len(by_class) // (2 * count)
    return golden_of(network, card, test.rows[np.sort(by_class[middles])])
