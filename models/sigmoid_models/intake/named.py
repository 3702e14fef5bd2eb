"""What a user names of a file whose weights do not say it."""

from dataclasses import dataclass
from typing import Literal

Place = Literal["before", "after"]


@dataclass(frozen=True)
class Named:
    """What was named; whatever was not is None.

    Attributes:
        activation: The functions between the layers, one for all or one per hidden
            layer, as `sigmoid_models.activation` reads them.
        layers: Names of the linear layers, first to last.
        state: Which of several mappings of tensors the network is.
        batchnorm: Where a BatchNorm stands whose place cannot be told: `before` or
            `after` the function.
        task: `binary`, `multiclass` or `multilabel`.
        link: `sigmoid` or `softmax`.
        is_proven: Whether rows with known outputs will be compared: then the names of
            modules are no evidence against it.
    """

    activation: tuple[str, ...] | None = None
    layers: tuple[str, ...] | None = None
    state: str | None = None
    batchnorm: Place | None = None
    task: Literal["binary", "multiclass", "multilabel"] | None = None
    link: Literal["sigmoid", "softmax"] | None = None
    is_proven: bool = False


NOTHING = Named()
"""What is named by default."""
