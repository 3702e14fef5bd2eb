"""The datasets that come along with scikit-learn, by name."""

from typing import Final

BUNDLED: Final = {
    "breast-cancer": "load_breast_cancer",
    "digits": "load_digits",
    "iris": "load_iris",
    "wine": "load_wine",
}
"""Name of each set, and of the function of `sklearn.datasets` that loads it."""
