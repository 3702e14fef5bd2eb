"""Sigmoid classifiers: networks, checkpoints, training. Knows no web.

`sigmoid_models.training` needs scikit-learn and is imported on its own.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sigmoid_models.architecture import (
        Architecture,
    )
    from sigmoid_models.card import ModelCard
    from sigmoid_models.checkpoint import (
        Checkpoint,
        CheckpointError,
        load_checkpoint,
        save_checkpoint,
    )
    from sigmoid_models.classifier import Classifier, DeepClassifier
    from sigmoid_models.exact_sigmoid import sigmoid

__all__ = [
    "Architecture",
    "Checkpoint",
    "CheckpointError",
    "Classifier",
    "DeepClassifier",
    "ModelCard",
    "load_checkpoint",
    "save_checkpoint",
    "sigmoid",
]

_MODULES = {
    "Architecture": "architecture",
    "ModelCard": "card",
    "Checkpoint": "checkpoint",
    "CheckpointError": "checkpoint",
    "load_checkpoint": "checkpoint",
    "save_checkpoint": "checkpoint",
    "Classifier": "classifier",
    "DeepClassifier": "classifier",
    "sigmoid": "exact_sigmoid",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: PyTorch takes seconds."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_MODULES[name]}")
    found: object = getattr(module, name)
    return found
