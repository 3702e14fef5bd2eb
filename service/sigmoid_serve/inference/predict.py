"""The way of a request: bytes to tensors, tensors to logits, answers to bytes."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np

from sigmoid_serve.admission.stages import ENCODE, PARSE
from sigmoid_serve.engine.background import SHORT_BYTES
from sigmoid_serve.engine.engine import Answer, RowError
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.inference.media import MEDIA_TYPES
from sigmoid_serve.inference.request import (
    FEW_DIMENSIONS,
    SOON_ELEMENTS,
    Exchange,
    Reply,
    beside,
    is_short,
    npy_reply,
    read_soon_or_beside,
)
from sigmoid_serve.inference.schemas import (
    Intake,
    PredictRequest,
    read_quickly,
    read_strictly,
)
from sigmoid_serve.payload.json_answer import encode, encode_short, refuse_long
from sigmoid_serve.payload.npy import read_npy
from sigmoid_serve.payload.tensors import Features, check_features, check_limits
from sigmoid_serve.registry.registry import Version

Output = Literal["probabilities", "logits"]


async def answer_predict(exchange: Exchange, version: Version, output: Output) -> Reply:
    """Classify the rows of a request.

    Args:
        exchange: The request.
        version: The model that is asked.
        output: Which array an `.npy` answer holds.

    Raises:
        ServiceError: The model is not ready, or the request is not right.
        Abandoned: The client went away meanwhile.
    """
    ticket = exchange.ticket
    ticket.model = version.name
    if version.fault:
        raise ServiceError(
            "not_ready", f"model {version.name} is not ready: {version.fault}"
        )
    features = quick_features(exchange, version)
    if features is None:
        features = await read_soon_or_beside(exchange, read_features, exchange, version)
    ticket.settle(features.values.size)
    rows = features.rows()
    if not version.batcher.is_light(len(rows)):
        exchange.watch()
    try:
        answer = await version.batcher.answer(rows, ticket)
    except RowError as error:
        point_at(error, exchange, features)
        raise
    arguments = (exchange, version, output, features, answer)
    if is_soon_written(features, version):
        return predicted(*arguments)
    return await beside(exchange, predicted, *arguments)


def quick_features(exchange: Exchange, version: Version) -> Features | None:
    """Read the rows of a request to a model, if that is done soon.

    Returns:
        None where it is not, or where something may be wrong.

    Raises:
        ServiceError: The request is not right.
    """
    if len(exchange.body) > SHORT_BYTES:
        return None
    return _features(exchange, version, read_quickly)


def read_features(exchange: Exchange, version: Version) -> Features:
    """Read the rows of a request to a model.

    Raises:
        ServiceError: The request is not right.
    """
    check = exchange.ticket.check
    features = _features(exchange, version, partial(read_quickly, check=check))
    if features is None:
        features = _features(exchange, version, partial(read_strictly, check=check))
    assert features is not None
    return features


def _features(
    exchange: Exchange, version: Version, read: Callable[..., Any]
) -> Features | None:
    exchange.ticket.enter(PARSE)
    engine = version.engine
    card, count = engine.card, engine.features
    max_elements, max_rank, max_rows, _ = exchange.limits
    if exchange.request == "npy":
        values, _ = read_npy(exchange.body, max_elements)
        check_features(values.shape, count, None)
        check_limits(values.shape, None, max_rank, max_rows)
        return Features(np.ascontiguousarray(values, dtype=np.float64))
    request = read(
        PredictRequest, exchange.body, Intake(max_elements, count, card.features)
    )
    if request is None:
        return None
    features: Features = request.inputs
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


def point_at(error: RowError, exchange: Exchange, features: Features) -> None:
    """Say where in the body the row stands that an error is about."""
    if exchange.request == "json":
        place = _unravelled(error.index, features.values.shape)
        error.pointer = features.pointer(place)


def is_soon_written(features: Features, version: Version) -> bool:
    """Tell whether the answer to some rows is written within a few milliseconds."""
    values = features.values
    elements = values.size // values.shape[-1] * version.engine.outputs
    return 0 < elements <= SOON_ELEMENTS and values.ndim <= FEW_DIMENSIONS


def predicted(
    exchange: Exchange,
    version: Version,
    output: Output,
    features: Features,
    answer: Answer,
) -> Reply:
    """Write the answer to all rows of a request.

    Raises:
        ServiceError: It is too long.
    """
    exchange.ticket.enter(ENCODE)
    if features.values.ndim != 2:
        answer = answer.reshaped(features.values.shape[:-1])
    logits, likely, labels = answer
    most_bytes = exchange.limits.max_answer_bytes
    if exchange.answer == "npy":
        return npy_reply(logits if output == "logits" else likely, most_bytes)
    document = {
        "model": version.name,
        "version": version.version,
        "logits": logits,
        "probabilities": likely,
        "labels": labels,
        "shape": logits.shape,
    }
    if is_short(logits, most_bytes):
        pieces = encode_short(document)
    else:
        refuse_long([logits.shape, likely.shape, labels.shape], most_bytes)
        pieces = encode(document, most_bytes, exchange.ticket.check)
    return Reply(pieces, MEDIA_TYPES["json"])
