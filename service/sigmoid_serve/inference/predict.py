"""Predictions: bytes to rows of features, rows to logits, logits to bytes."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np

from sigmoid_serve.admission.stages import ENCODE, PARSE
from sigmoid_serve.engine.background import OFFLOAD_ABOVE_BYTES
from sigmoid_serve.engine.engine import Prediction, RowError
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.inference.media import MEDIA_TYPES, Media
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
from sigmoid_serve.payload.features import Features, check_features
from sigmoid_serve.payload.json_answer import encode, encode_short, refuse_long
from sigmoid_serve.payload.npy import read_npy
from sigmoid_serve.payload.tensors import check_limits
from sigmoid_serve.registry.registry import ModelVersion

Output = Literal["probabilities", "logits"]


Question = tuple[Features, Callable[[Prediction], InferenceResponse]]
"""The rows that a model is asked about, and what writes the response to them.

To write it may raise a `ServiceError`.
"""

QuickRead = Callable[[InferenceRequest, ModelVersion], Question | None]
"""Reads a request; None where that takes long, or something may be wrong."""

StrictRead = Callable[[InferenceRequest, ModelVersion], Question]
"""Reads a request; raises a `ServiceError` that says what is wrong."""


async def answer_rows(
    request: InferenceRequest,
    version: ModelVersion,
    read_quick: QuickRead,
    read_strict: StrictRead,
) -> InferenceResponse:
    """Classify the rows of a request, however long that takes.

    Args:
        request: The request.
        version: The model that is asked.
        read_quick: Reads the request, in most cases.
        read_strict: Reads it where the other does not.

    Raises:
        ServiceError: The model is not ready, or the request is not right.
        Abandoned: The client went away meanwhile.
    """
    state = request.state
    state.model, state.model_version = version.name, version.number
    if version.fault:
        raise ServiceError(
            "not_ready", f"model {version.name} is not ready: {version.fault}"
        )
    question = read_quick(request, version)
    if question is None:
        question = await read_soon_or_offload(request, read_strict, request, version)
    features, write = question
    state.reserve(features.values.size)
    rows = features.rows()
    if not version.batcher.is_inline(len(rows)):
        request.watch()
    try:
        prediction = await version.batcher.predict(rows, state)
    except RowError as error:
        error.pointer = features.pointer(*error.index)
        raise
    if is_soon_written(features, version):
        return write(prediction)
    return await offload(request, write, prediction)


def is_soon_written(features: Features, version: ModelVersion) -> bool:
    """Tell whether the answer to some rows is written within a few milliseconds."""
    values = features.values
    elements = values.size // values.shape[-1] * version.engine.outputs
    return 0 < elements <= SOON_ELEMENTS and values.ndim <= FEW_DIMENSIONS


def read_native_quickly(
    request: InferenceRequest, version: ModelVersion, output: Output = "probabilities"
) -> Question | None:
    """Read a request of the native API, if that is done soon.

    Args:
        request: The request.
        version: The model that is asked.
        output: Which array an `.npy` answer holds.

    Returns:
        None where it is not, or where something may be wrong.
    """
    if len(request.body) > OFFLOAD_ABOVE_BYTES:
        return None
    return _question(request, version, output, read_quickly)


def read_native_strictly(
    request: InferenceRequest, version: ModelVersion, output: Output = "probabilities"
) -> Question:
    """Read a request of the native API.

    Raises:
        ServiceError: It is not right.
    """
    check = request.state.check
    quick = partial(read_quickly, check=check)
    question = _question(request, version, output, quick)
    if question is None:
        strict = partial(read_strictly, check=check)
        question = _question(request, version, output, strict)
    assert question is not None
    return question


def _question(
    request: InferenceRequest,
    version: ModelVersion,
    output: Output,
    read: Callable[..., Any],
) -> Question | None:
    features = _features(request, version, read)
    if features is None:
        return None
    accept = request.accept
    return features, lambda prediction: _write(
        request, version, output, features, accept, prediction
    )


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
        return Features(np.ascontiguousarray(values, dtype=np.float64), place=None)
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


def _write(
    request: InferenceRequest,
    version: ModelVersion,
    output: Output,
    features: Features,
    accept: Media,
    prediction: Prediction,
) -> InferenceResponse:
    request.state.enter(ENCODE)
    if features.values.ndim != 2:
        prediction = prediction.reshaped(features.values.shape[:-1])
    logits, likely, labels = prediction
    most_bytes = request.limits.max_answer_bytes
    if accept == "npy":
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
