"""What can be chosen of a training."""

from dataclasses import dataclass
from typing import Literal


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
        class_weights: `balanced` has each class weigh as much as another, however
            few its rows are.
        epochs: The most epochs.
        patience: Epochs without a better validation loss before it stops.
        learning_rate: The learning rate of Adam.
        batch_rows: Rows per step.
        threads: PyTorch's threads; None takes several only where that gains time.
        device: Where it computes, as PyTorch names it.
    """

    model: Literal["shallow", "deep"] = "shallow"
    hidden: int = 64
    layers: int = 5
    seed: int = 0
    init: Literal["sigmoid", "default"] = "sigmoid"
    class_weights: Literal["balanced"] | None = None
    epochs: int = 200
    patience: int = 20
    learning_rate: float = 5e-3
    batch_rows: int = 32
    threads: int | None = None
    device: str = "cpu"
