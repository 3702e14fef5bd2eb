"""Sigmoid classifiers: networks, checkpoints, training. Knows no web.

`models.training` and `models.metrics` need scikit-learn and are imported on their own.
"""

from models.architecture import Architecture, ArchitectureError, infer_architecture
from models.card import ModelCard
from models.checkpoint import (
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from models.classifier import Classifier, DeepClassifier
from models.sigmoid import sigmoid

__all__ = [
    "Architecture",
    "ArchitectureError",
    "Checkpoint",
    "CheckpointError",
    "Classifier",
    "DeepClassifier",
    "ModelCard",
    "infer_architecture",
    "load_checkpoint",
    "save_checkpoint",
    "sigmoid",
]
