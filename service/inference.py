"""The way of a request: bytes to tensors, tensors to logits, answers to bytes."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.dtype import DtypeName, shortened
from models.sigmoid import sigmoid
from service.element_faults import child
from service.engine import Answer, RowError
from service.errors import ServiceError
from service.json_answer import encode
from service.media import MEDIA_TYPES, NPY, Media
from service.npy import read_npy, write_npy
from service.repository import Version
from service.schemas import Intake, PredictRequest, SigmoidRequest, read_body
from service.settings import Settings
from service.tensors import Features, check_features, check_limits
from service.ticket import Ticket
from service.timing import ENCODE, INFER, PARSE, QUEUE
from service.worker import SHORT_BYTES, Arguments, Result, Worker

Output = Literal["probabilities", "logits"]


class Limits(NamedTuple):
    """What a request may hold; the settings of the same names.

    Attributes:
        max_elements: Summed over a batch.
        max_rank: Of each tensor.
        max_rows: That a model is asked about.
    """

    max_elements: int
    max_rank: int
    max_rows: int

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Take them from the settings."""
        return cls(settings.max_elements, settings.max_rank, settings.max_rows)


class Exchange(NamedTuple):
    """A request to an inference route, as far as its headers tell.

    Attributes:
        body: All of its bytes.
        request: What the body is written in.
        answer: What the answer shall be written in.
        limits: More is refused.
        ticket: The request's, in the queue.
        worker: Does what takes long.
        watch: Called before a wait, to notice if the client goes away meanwhile.
    """

    body: bytes
    request: Media
    answer: Media
    limits: Limits
    ticket: Ticket
    worker: Worker
    watch: Callable[[], None]


class Reply(NamedTuple):
    """An answer: the pieces of its bytes, and their media type."""

    pieces: Sequence[bytes | memoryview]
    media_type: str


class _Tensors(NamedTuple):
    values: list[NDArray[Any]]
    dtype: DtypeName
    is_batch: bool


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
    if len(exchange.body) <= SHORT_BYTES:
        features = read_features(exchange, version)
    else:
        features = await _beside(exchange, read_features, exchange, version)
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
    if answer.logits.nbytes <= SHORT_BYTES:
        return predicted(*arguments)
    return await _beside(exchange, predicted, *arguments)


async def _beside(
    exchange: Exchange,
    function: Callable[[*Arguments], Result],
    *arguments: *Arguments,
) -> Result:
    """Do what takes long beside the event loop, if anybody still waits for it."""
    exchange.watch()
    exchange.ticket.enter(QUEUE)
    return await exchange.worker.run(exchange.ticket, function, *arguments)


async def answer_sigmoid(exchange: Exchange) -> Reply:
    """Compute the sigmoid of the tensor or tensors of a request.

    Raises:
        ServiceError: The request is not right.
        Abandoned: The client went away meanwhile.
    """
    if len(exchange.body) <= SHORT_BYTES:
        return computed_sigmoid(exchange)
    return await _beside(exchange, computed_sigmoid, exchange)


def computed_sigmoid(exchange: Exchange) -> Reply:
    """Do all of `answer_sigmoid` here and now."""
    ticket = exchange.ticket
    ticket.enter(PARSE)
    tensors, dtype, is_batch = _read_tensors(exchange)
    if exchange.answer == "npy" and (is_batch or dtype == "bfloat16"):
        what = "several tensors" if is_batch else "bfloat16"
        raise ServiceError(
            "not_acceptable",
            f"{NPY} cannot hold {what}; ask for application/json",
            expected="Accept: application/json",
            got=f"Accept: {NPY}",
        )
    ticket.enter(INFER)
    outputs = [sigmoid(tensor, dtype) for tensor in tensors]
    ticket.enter(ENCODE)
    if exchange.answer == "npy":
        return _npy(outputs[0])
    is_long = len(exchange.body) > SHORT_BYTES
    shapes = [output.shape for output in outputs]
    outputs = [shortened(output, dtype) for output in outputs]
    if is_batch:
        return _json({"batch": outputs, "shapes": shapes, "dtype": dtype}, is_long)
    document = {"outputs": outputs[0], "shape": shapes[0], "dtype": dtype}
    return _json(document, is_long)


def read_features(exchange: Exchange, version: Version) -> Features:
    """Read the rows of a request to a model.

    Raises:
        ServiceError: The request is not right.
    """
    exchange.ticket.enter(PARSE)
    card = version.engine.card
    count = card.architecture.features
    max_elements, max_rank, max_rows = exchange.limits
    if exchange.request == "npy":
        values, _ = read_npy(exchange.body, max_elements)
        check_features(values.shape, count, None)
        check_limits(values.shape, None, max_rank, max_rows)
        return Features(np.ascontiguousarray(values, dtype=np.float64))
    intake = Intake(max_elements, count, card.features)
    features = read_body(PredictRequest, exchange.body, intake).inputs
    check_limits(features.values.shape, "/inputs", max_rank, max_rows)
    return features


def _read_tensors(exchange: Exchange) -> _Tensors:
    max_elements, max_rank, _ = exchange.limits
    if exchange.request == "npy":
        values, dtype = read_npy(exchange.body, max_elements)
        check_limits(values.shape, None, max_rank, None)
        return _Tensors([values], dtype, is_batch=False)
    request = read_body(SigmoidRequest, exchange.body, Intake(max_elements))
    if request.inputs is not None:
        check_limits(request.inputs.shape, "/inputs", max_rank, None)
        return _Tensors([request.inputs], request.dtype, is_batch=False)
    batch = request.batch or []
    for position, tensor in enumerate(batch):
        if tensor.ndim > max_rank:
            check_limits(tensor.shape, child("/batch", position), max_rank, None)
    return _Tensors(batch, request.dtype, is_batch=True)


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


def predicted(
    exchange: Exchange,
    version: Version,
    output: Output,
    features: Features,
    answer: Answer,
) -> Reply:
    """Write the answer to all rows of a request."""
    exchange.ticket.enter(ENCODE)
    if features.values.ndim != 2:
        answer = answer.reshaped(features.values.shape[:-1])
    logits, likely, labels = answer
    if exchange.answer == "npy":
        return _npy(logits if output == "logits" else likely)
    return _json(
        {
            "model": version.name,
            "version": version.version,
            "logits": logits,
            "probabilities": likely,
            "labels": labels,
            "shape": logits.shape,
        },
        is_long=logits.nbytes > SHORT_BYTES,
    )


def _npy(values: NDArray[Any]) -> Reply:
    return Reply(write_npy(values), MEDIA_TYPES["npy"])


def _json(document: dict[str, Any], is_long: bool) -> Reply:
    return Reply(encode(document, is_long), MEDIA_TYPES["json"])
