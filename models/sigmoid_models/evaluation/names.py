"""What the measures are called, and what each means; knows no scikit-learn."""

from typing import Final

MEASURES: Final = {
    "accuracy": ("accuracy", "share of rows whose label is right"),
    "majority_share": (
        "largest class",
        "accuracy of always saying the largest class",
    ),
    "balanced_accuracy": ("balanced accuracy", "mean of the classes' recalls"),
    "precision": ("precision", "share of right among the rows given the class"),
    "recall": ("recall", "share found among the rows of the class"),
    "average_precision": ("average precision", "area under precision over recall"),
    "roc_auc": ("ROC-AUC", "chance that a row of the class ranks above another"),
    "log_loss": ("log-loss", "mean binary cross-entropy per output, nats"),
    "brier": ("Brier", "mean squared error of the probabilities"),
    "ece": ("ECE", "expected calibration error, 15 bins"),
}
"""Of each measure its label and its meaning, in the order in which they are shown."""


def quoted(name: str) -> str:
    """Quote the name of a class for a sentence; a long one is cut."""
    return repr(name if len(name) <= 48 else f"{name[:47]}…")
