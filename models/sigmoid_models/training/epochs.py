"""The epochs of a training: steps by Adam until the validation loss no longer falls."""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from sigmoid_models.architecture import Architecture
from sigmoid_models.classifier import linear_layers
from sigmoid_models.training.options import TrainingOptions
from sigmoid_models.training.split import Part

# PyTorch's threads spin while they wait for each other. On two cores, a step of up to
# 70 million multiplications took 1.0 to 1.1 times as long with two threads as with one,
# and where others used the cores, up to 3 times; from 130 million on, 0.75 or less.
_PARALLEL_MULTIPLICATIONS: Final = 10**8


class StoppedError(Exception):
    """A training was stopped before its first epoch had ended: there is no network."""


class Epoch(NamedTuple):
    """The results of one pass over the training rows; losses in nats."""

    number: int
    training_loss: float
    validation_loss: float
    validation_accuracy: float


class Watch(NamedTuple):
    """Who looks on while a network is fitted.

    Attributes:
        on_epoch: Called after each epoch.
        is_stopped: Asked before each step; the best network so far is then kept.
    """

    on_epoch: Callable[[Epoch], None] = lambda _: None
    is_stopped: Callable[[], bool] = lambda: False


class Fitted(NamedTuple):
    """How the epochs went.

    Attributes:
        best_epoch: After which the weights were those that are kept.
        history: All epochs that ended.
        is_stopped: Whether it was stopped, rather than done.
    """

    best_epoch: int
    history: tuple[Epoch, ...]
    is_stopped: bool


@contextmanager
def suited_threads(
    architecture: Architecture, options: TrainingOptions
) -> Iterator[None]:
    """Compute with the threads asked for, else with one where several gain nothing."""
    threads = torch.get_num_threads()
    # One pass forward, and two backward: for the signals and for the weights.
    per_step = 3 * options.batch_rows * architecture.parameters
    if options.threads:
        torch.set_num_threads(options.threads)
    elif per_step < _PARALLEL_MULTIPLICATIONS:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def run_epochs(
    network: nn.Module,
    training: Part,
    validation: Part,
    options: TrainingOptions,
    generator: torch.Generator,
    watch: Watch,
) -> Fitted:
    """Train until the validation loss no longer falls; keep the best weights.

    Raises:
        StoppedError: It was stopped before the first epoch had ended.
        FloatingPointError: The loss overflowed.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=options.learning_rate)
    best, best_epoch, best_weights = float("inf"), 0, network.state_dict()
    history: list[Epoch] = []
    is_stopped = False
    for number in range(1, options.epochs + 1):
        training_loss = _pass(network, training, options, optimiser, generator, watch)
        if training_loss is None:
            is_stopped = True
            break
        with torch.no_grad():
            logits = network(validation.features)
            loss_now = _loss(logits, validation.truth, validation.weights).item()
        if not math.isfinite(loss_now):
            raise FloatingPointError(
                f"the loss is not finite after epoch {number}; lower the learning rate"
            )
        accuracy = _accuracy(logits, validation.targets)
        history.append(Epoch(number, training_loss, loss_now, accuracy))
        watch.on_epoch(history[-1])
        if loss_now < best:
            best, best_epoch = loss_now, number
            best_weights = copy.deepcopy(network.state_dict())
        elif number - best_epoch >= options.patience:
            break
    if not best_epoch:
        raise StoppedError("training was stopped before the first epoch had ended")
    network.load_state_dict(best_weights)
    return Fitted(best_epoch, tuple(history), is_stopped)


def _pass(
    network: nn.Module,
    training: Part,
    options: TrainingOptions,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    watch: Watch,
) -> float | None:
    """Take a step for each batch of rows; return their mean loss, None if stopped."""
    total, weights = 0.0, training.weights
    # Drawn on the CPU, so that the order is the same on every device.
    order = torch.randperm(len(training.features), generator=generator)
    for chosen in torch.split(order.to(options.device), options.batch_rows):
        if watch.is_stopped():
            return None
        optimiser.zero_grad()
        loss = _loss(
            network(training.features[chosen]),
            training.truth[chosen],
            None if weights is None else weights[chosen],
        )
        torch.autograd.backward(loss)
        optimiser.step()
        total += loss.item() * len(chosen)
    return total / len(order)


def _loss(logits: Tensor, truth: Tensor, weights: Tensor | None) -> Tensor:
    return binary_cross_entropy_with_logits(logits, truth, weights)


def _accuracy(logits: Tensor, targets: NDArray[np.int64]) -> float:
    values = logits.cpu().numpy()
    predicted = values[:, 0] >= 0 if values.shape[1] == 1 else values.argmax(axis=1)
    return float((predicted == targets).mean())


def gradient_norms(network: nn.Module, training: Part) -> tuple[float, ...]:
    """Norm of the loss's gradient by each layer's weights, over all training rows."""
    network.zero_grad()
    loss = _loss(network(training.features), training.truth, training.weights)
    torch.autograd.backward(loss)
    norms = []
    for layer in linear_layers(network):
        gradient = layer.weight.grad
        norms.append(0.0 if gradient is None else float(gradient.norm()))
    network.zero_grad()
    return tuple(norms)
