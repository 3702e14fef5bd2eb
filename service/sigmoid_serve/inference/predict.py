"""Predictions: bytes to rows of features, rows to logits, logits to bytes."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np

from sigmoid_serve.admission.stages import ENCODE, PARSE
from sigmoid_serve.engine.background import OFFLOAD_ABOVE_BYTES
from sigmoid_serve.engine.engine import Prediction, RowError
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.inference.media import MEDIA_TYPES
from sigmoid_serve.inference.request import (
    FEW_DIMENSIONS,
    SOON_ELEMENTS,
    InferenceRequest,
    InferenceResponse,
    is_short,
    npy_response,
    offload,
    read_soon_or_offload,
)
from sigmoid_serve.inference.schemas import (
    PredictRequest,
    ValidationContext,
    read_quickly,
    read_strictly,
)
from sigmoid_serve.payload.json_answer import encode, encode_short, refuse_long
from sigmoid_serve.payload.npy import read_npy
from sigmoid_serve.payload.tensors import Features, check_features, check_limits
from sigmoid_serve.registry.registry import ModelVersion

Output = Literal["probabilities", "logits"]


async def answer_predict(
    request: InferenceRequest, version: ModelVersion, output: Output
) -> InferenceResponse:
    """Classify the rows of a request.

    Args:
        request: The request.
        version: The model that is asked.
        output: Which array an `.npy` answer holds.

    Raises:
        ServiceError: The model is not ready, or the request is not right.
        Abandoned: The client went away meanwhile.
    """
    state = request.state
    state.model = version.name
    state.model_version = version.number
    if version.fault:
        raise ServiceError(
            "not_ready", f"model {version.name} is not ready: {version.fault}"
        )
    features = quick_features(request, version)
    if features is None:
        features = await read_soon_or_offload(request, read_features, request, version)
    state.reserve(features.values.size)
    rows = features.rows()
    if not version.batcher.is_inline(len(rows)):
        request.watch()
    try:
        prediction = await version.batcher.predict(rows, state)
    except RowError as error:
        point_at(error, request, features)
        raise
    arguments = (request, version, features, prediction, output)
    if is_soon_written(features, version):
        return write_prediction(*arguments)
    return await offload(request, write_prediction, *arguments)


def quick_features(request: InferenceRequest, version: ModelVersion) -> Features | None:
    """Read the rows of a request to a model, if that is done soon.

    Returns:
        None where it is not, or where something may be wrong.

    Raises:
        ServiceError: The request is not right.
    """
    if len(request.body) > OFFLOAD_ABOVE_BYTES:
        return None
    return _features(request, version, read_quickly)


def read_features(request: InferenceRequest, version: ModelVersion) -> Features:
    """Read the rows of a request to a model.

    Raises:
        ServiceError: The request is not right.
    """
    check = request.state.check
    features = _features(request, version, partial(read_quickly, check=check))
    if features is None:
        features = _features(request, version, partial(read_strictly, check=check))
    assert features is not None
    return features


def _features(
    request: InferenceRequest, version: ModelVersion, read: Callable[..., Any]
) -> Features | None:
    request.state.enter(PARSE)
    engine = version.engine
    card, count = engine.card, engine.features
    max_elements, max_rank, max_rows, _, ignores_extra = request.limits
    if request.content_type == "npy":
        values, _ = read_npy(request.body, max_elements)
        check_features(values.shape, count, None)
        check_limits(values.shape, None, max_rank, max_rows)
        return Features(np.ascontiguousarray(values, dtype=np.float64))
    document = read(
        PredictRequest,
        request.body,
        ValidationContext(max_elements, count, card.features, ignores_extra),
    )
    if document is None:
        return None
    features: Features = document.inputs
    check_limits(features.values.shape, "/inputs", max_rank, max_rows)
    return features


def _unravelled(index: tuple[int, ...], shape: tuple[int, ...]) -> list[int]:
    """Turn a row, or a row and a feature, into a place in the tensor."""
    place: list[int] = []
    row = index[0]
    for size in reversed(shape[:-1]):
        row, position = divmod(row, size)
        place.insert(0, position)
    return [*place, *index[1:]]


def point_at(error: RowError, request: InferenceRequest, features: Features) -> None:
    """Say where in the body the row stands that an error is about."""
    if request.content_type == "json":
        place = _unravelled(error.index, features.values.shape)
        error.pointer = features.pointer(place)


def is_soon_written(features: Features, version: ModelVersion) -> bool:
    """Tell whether the answer to some rows is written within a few milliseconds."""
    values = features.values
    elements = values.size // values.shape[-1] * version.engine.outputs
    return 0 < elements <= SOON_ELEMENTS and values.ndim <= FEW_DIMENSIONS


def write_prediction(
    request: InferenceRequest,
    version: ModelVersion,
    features: Features,
    prediction: Prediction,
    output: Output = "probabilities",
) -> InferenceResponse:
    """Write the response to all rows of a request.

    Raises:
        ServiceError: It is too long.
    """
    request.state.enter(ENCODE)
    if features.values.ndim != 2:
        prediction = prediction.reshaped(features.values.shape[:-1])
    logits, likely, labels = prediction
    most_bytes = request.limits.max_answer_bytes
    if request.accept == "npy":
        return npy_response(logits if output == "logits" else likely, most_bytes)
    document: dict[str, Any] = {
        "model": version.name,
        "version": version.number,
        "logits": logits,
        "probabilities": likely,
        "labels": labels,
        "shape": logits.shape,
    }
    names = version.named_outputs
    if names is not None:
        document["classes"] = names
    if version.engine.card.link == "softmax":
        document["link"] = "softmax"
    if is_short(logits, most_bytes):
        pieces = encode_short(document)
    else:
        refuse_long([logits.shape, likely.shape, labels.shape], most_bytes)
        pieces = encode(document, most_bytes, request.state.check)
    return InferenceResponse(pieces, MEDIA_TYPES["json"])
