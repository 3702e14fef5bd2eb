"""The tensors of a model: their names, datatypes and shapes."""

from typing import Final, NamedTuple

from sigmoid_serve.admission import request_state
from sigmoid_serve.errors import ServiceError, shown
from sigmoid_serve.registry.registry import ModelRegistry, ModelVersion

ELEMENTWISE: Final = request_state.ELEMENTWISE
"""The model that is the elementwise sigmoid; no other has this name."""

ELEMENTWISE_VERSION: Final = request_state.ELEMENTWISE_VERSION
"""Its only version."""

INPUT: Final = "inputs"
"""The one input of every model."""

_ELEMENTWISE_OUTPUTS: Final = ("outputs",)
_OUTPUTS: Final = ("probabilities", "logits", "labels")


class Tensor(NamedTuple):
    """An input or an output.

    Attributes:
        name: Of the tensor.
        datatype: As the protocol names it.
        shape: With -1 for a dimension of any size.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


class Signature(NamedTuple):
    """The inputs and the outputs of a model."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def find_version(
    registry: ModelRegistry, name: str, number: str | None = None
) -> ModelVersion | None:
    """Find a version of a model, by default the newest.

    Args:
        registry: Of the models.
        name: Of the model.
        number: Of the version.

    Returns:
        None for the elementwise sigmoid.

    Raises:
        ServiceError: As `ModelRegistry.find` does.
    """
    if name != ELEMENTWISE:
        return registry.find(name, number)
    if number not in (None, ELEMENTWISE_VERSION):
        raise ServiceError(
            "version_not_found",
            f"model {ELEMENTWISE} has no version {shown(number or '')}; "
            f"its only version is {ELEMENTWISE_VERSION}",
        )
    return None


def output_names(version: ModelVersion | None) -> tuple[str, ...]:
    """Name the outputs of a version, in order; None is the elementwise sigmoid."""
    return _ELEMENTWISE_OUTPUTS if version is None else _OUTPUTS


def tensors_of(version: ModelVersion | None) -> Signature:
    """Describe the tensors of a version; None is the elementwise sigmoid.

    The elementwise sigmoid takes any shape and datatype, of which one is described.
    """
    names = output_names(version)
    if version is None:
        return Signature(
            (Tensor(INPUT, "FP32", (-1,)),), (Tensor(names[0], "FP32", (-1,)),)
        )
    engine = version.engine
    rows = (-1, engine.outputs)
    probabilities, logits, labels = names
    return Signature(
        (Tensor(INPUT, "FP32", (-1, engine.features)),),
        (
            Tensor(probabilities, "FP32", rows),
            Tensor(logits, "FP32", rows),
            Tensor(labels, *_labels(version)),
        ),
    )


def _labels(version: ModelVersion) -> tuple[str, tuple[int, ...]]:
    """Return datatype and shape, as `sigmoid_models.probabilities.labels` has them."""
    card = version.engine.card
    if card.task == "multilabel":
        return "BOOL", (-1, version.engine.outputs)
    return ("INT64" if card.classes is None else "BYTES"), (-1,)
