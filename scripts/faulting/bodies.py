"""Bodies of requests, and networks to answer them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import torch

from benchmark.client import JSON, Request
from benchmark.payloads import Task
from sigmoid_models.architecture import Architecture
from sigmoid_models.card import ModelCard
from sigmoid_models.checkpoint import save_checkpoint
from sigmoid_models.classifier import Classifier, DeepClassifier, linear_layers

FEATURES, CLASSES = 64, 10
LONG_ROWS = 1024
_KEPT_DECIMALS = 4


def predict(
    model: str, rows: int, seed: int = 0, headers: tuple[tuple[str, str], ...] = ()
) -> Request:
    """Ask a model of 64 features about some rows."""
    normal = np.random.default_rng(seed).normal(size=(rows, FEATURES))
    values = normal.round(_KEPT_DECIMALS).tolist()
    body = orjson.dumps({"inputs": values})
    head = (("Content-Type", JSON), *headers)
    return Request("POST", f"/models/{model}/predict", body, head)


def closing(task: Task) -> Task:
    """Ask the same on a connection that the server is told to close."""
    headers = (*task.request.headers, ("Connection", "close"))
    return Task(replace(task.request, headers=headers), task.is_right)


def network(seed: int, features: int = FEATURES, hidden: int = 128) -> Classifier:
    """Make a network of one hidden layer."""
    torch.manual_seed(seed)
    return Classifier(features, hidden, CLASSES)


def heavy_network(hidden: int, layers: int) -> DeepClassifier:
    """Make a network that takes long."""
    torch.manual_seed(0)
    return DeepClassifier(FEATURES, hidden, CLASSES, layers)


def card(made: Classifier | DeepClassifier) -> ModelCard:
    """Make the card of a network."""
    layers = linear_layers(made)
    sizes = (layers[0].in_features, *(layer.out_features for layer in layers))
    kind = "Classifier" if isinstance(made, Classifier) else "DeepClassifier"
    architecture = Architecture(kind=kind, sizes=sizes)
    return ModelCard(architecture=architecture, activation="sigmoid", task="multiclass")


def written(path: Path, made: Classifier | DeepClassifier) -> Path:
    """Write a checkpoint; return its path."""
    save_checkpoint(path, made, card(made))
    return path
