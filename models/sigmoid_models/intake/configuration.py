"""What values beside the weights say of a network: training programs save them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sigmoid_models.files.pickle_values import Opaque
from sigmoid_models.files.stored import Stored

_ACTIVATION: Final = (
    "activation",
    "hidden_activation",
    "activation_fn",
    "nonlinearity",
)
_PARAMETERS: Final = ("alpha", "beta", "slope", "negative_slope", "approximate")
_CLASSES: Final = ("classes", "class_names", "tags")
_FEATURES: Final = ("feature_names", "features", "feature_columns")
_LONGEST_NAME: Final = 128


@dataclass(frozen=True)
class Configuration:
    """What a file says of its network beside the weights; None for what it does not.

    Attributes:
        activation: The names that it has, not read yet.
        where: The name under which they stand.
        classes: Names of the classes.
        features: Names of the features.
        arrays: Names of arrays, which may be those of a scaler.
        has_parameter: Whether it has what may be a parameter of the activation.
    """

    activation: tuple[str, ...] | None = None
    where: str = ""
    classes: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None
    arrays: tuple[str, ...] = ()
    has_parameter: bool = False


def read_configuration(beside: Sequence[tuple[str, object]]) -> Configuration:
    """Read the values beside the weights.

    Args:
        beside: See `sigmoid_models.intake.weights.Weights`.
    """
    functions = [
        (name, names)
        for name, value in beside
        if name in _ACTIVATION and (names := _texts(value))
    ]
    # Two that differ say nothing.
    said = {names for _, names in functions}
    return Configuration(
        activation=functions[0][1] if len(said) == 1 else None,
        where=functions[0][0] if len(said) == 1 else "",
        classes=_names(beside, _CLASSES),
        features=_names(beside, _FEATURES),
        has_parameter=any(name in _PARAMETERS for name, _ in beside),
        arrays=tuple(
            name
            for name, value in beside
            if (isinstance(value, Opaque) and value.kind == "ndarray")
            or (isinstance(value, Stored) and len(value.shape) == 1)
        ),
    )


def _texts(value: object) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple) or not value:
        return None
    texts = tuple(each for each in value if isinstance(each, str))
    return texts if len(texts) == len(value) else None


def _names(
    beside: Sequence[tuple[str, object]], wanted: Sequence[str]
) -> tuple[str, ...] | None:
    """Return the first list of different names under one of some keys."""
    for key in wanted:
        for name, value in beside:
            if name != key or not isinstance(value, list | tuple):
                continue
            names = _texts(value)
            is_right = names and all(map(_is_name, names))
            if names and is_right and len({*names}) == len(names):
                return names
    return None


def _is_name(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_NAME and text.isprintable()
