"""The way of a request: bytes to tensors, tensors to logits, answers to bytes."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.dtype import STORAGE, DtypeName, shortened
from models.sigmoid import sigmoid
from service.array_text import Tensors
from service.engine import Answer, RowError
from service.errors import ServiceError
from service.json_answer import (
    count_lists,
    encode,
    encode_short,
    refuse_long,
    too_long,
)
from service.json_text import Check, child, no_check
from service.media import MEDIA_TYPES, NPY, Media
from service.npy import read_npy, write_npy
from service.repository import Version
from service.schemas import (
    Intake,
    PredictRequest,
    SigmoidRequest,
    read_quickly,
    read_strictly,
)
from service.settings import Settings
from service.tensors import Features, check_features, check_limits
from service.ticket import Ticket
from service.timing import ENCODE, INFER, PARSE, QUEUE
from service.worker import SHORT_BYTES, Arguments, Result, Worker

Output = Literal["probabilities", "logits"]

# What is wrong with a body of this size is found out within two milliseconds.
_TINY_BYTES: Final = 2**12

# Of these, the sigmoid is read, computed and written within a few milliseconds.
_SOON_BYTES: Final = 2**16
_SOON_ELEMENTS: Final = 2**14

# More have many brackets.
_FEW_DIMENSIONS: Final = 4

# No answer of so few elements is longer, by far.
_SHORT_ANSWER_BYTES: Final = 2**24

# Computed at once, within a few milliseconds.
_STEP_ELEMENTS: Final = 2**17


class Limits(NamedTuple):
    """What a request may hold; the settings of the same names.

    Attributes:
        max_elements: Summed over a batch.
        max_rank: Of each tensor.
        max_rows: That a model is asked about.
        max_answer_bytes: Of the answer.
    """

    max_elements: int
    max_rank: int
    max_rows: int
    max_answer_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Take them from the settings."""
        return cls(
            settings.max_elements,
            settings.max_rank,
            settings.max_rows,
            settings.max_answer_bytes,
        )


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


class _Asked(NamedTuple):
    """What the sigmoid is computed of, and how it is answered."""

    tensors: Tensors
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
    features = quick_features(exchange, version)
    if features is None:
        features = await _read(exchange, read_features, exchange, version)
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
    return await _beside(exchange, predicted, *arguments)


async def _read(
    exchange: Exchange,
    function: Callable[[*Arguments], Result],
    *arguments: *Arguments,
) -> Result:
    """Read a body, or say what is wrong with it."""
    if len(exchange.body) <= _TINY_BYTES:
        return function(*arguments)
    return await _beside(exchange, function, *arguments)


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
    reply = quick_sigmoid(exchange)
    if reply is None:
        reply = await _read(exchange, _computed_sigmoid, exchange)
    return reply


def quick_sigmoid(exchange: Exchange) -> Reply | None:
    """Do all of `answer_sigmoid`, if it is done soon.

    Raises:
        ServiceError: The request is not right.
    """
    if len(exchange.body) > _SOON_BYTES:
        return None
    exchange.ticket.enter(PARSE)
    asked = _asked(exchange, read_quickly)
    if asked is None or not _is_soon(asked):
        return None
    return _answered(exchange, asked, no_check)


def _is_soon(asked: _Asked) -> bool:
    values, shapes = asked.tensors
    # To find the shortest digits of the short types takes longer.
    most = _SOON_ELEMENTS >> 4 * (asked.dtype in ("float16", "bfloat16"))
    return (
        values.size <= most
        and len(shapes) <= most
        and (asked.is_batch or count_lists(shapes[0]) <= most)
    )


def _computed_sigmoid(exchange: Exchange) -> Reply:
    """Do all of `answer_sigmoid`, however long it takes."""
    exchange.ticket.enter(PARSE)
    check = exchange.ticket.check
    asked = _asked(exchange, partial(read_quickly, check=check))
    if asked is None:
        asked = _asked(exchange, partial(read_strictly, check=check))
    assert asked is not None
    return _answered(exchange, asked, check)


def _asked(exchange: Exchange, read: Callable[..., Any]) -> _Asked | None:
    """Read a body; None where the way to read it leaves it to another."""
    max_elements, max_rank, _, _ = exchange.limits
    if exchange.request == "npy":
        values, dtype = read_npy(exchange.body, max_elements)
        check_limits(values.shape, None, max_rank, None)
        return _Asked(Tensors(values, [values.shape]), dtype, is_batch=False)
    request = read(SigmoidRequest, exchange.body, Intake(max_elements))
    if request is None:
        return None
    if request.inputs is not None:
        shape = request.inputs.shape
        check_limits(shape, "/inputs", max_rank, None)
        return _Asked(Tensors(request.inputs, [shape]), request.dtype, is_batch=False)
    batch = request.batch or Tensors(np.empty(0), [])
    for position, shape in enumerate(batch.shapes):
        if len(shape) > max_rank:
            check_limits(shape, child("/batch", position), max_rank, None)
    return _Asked(batch, request.dtype, is_batch=True)


def _answered(exchange: Exchange, asked: _Asked, check: Check) -> Reply:
    (values, shapes), dtype, is_batch = asked
    ticket, most_bytes = exchange.ticket, exchange.limits.max_answer_bytes
    ticket.settle(values.size + len(shapes) - 1)
    if exchange.answer == "npy":
        if is_batch or dtype == "bfloat16":
            what = "several tensors" if is_batch else "bfloat16"
            raise ServiceError(
                "not_acceptable",
                f"{NPY} cannot hold {what}; ask for application/json",
                expected="Accept: application/json",
                got=f"Accept: {NPY}",
            )
    elif not is_batch:
        refuse_long(shapes, most_bytes)
    ticket.enter(INFER)
    outputs = _sigmoid(values, dtype, check)
    ticket.enter(ENCODE)
    if exchange.answer == "npy":
        return _npy(outputs, most_bytes)
    outputs = shortened(outputs, dtype)
    document: dict[str, Any] = {"batch": Tensors(outputs, shapes), "dtype": dtype}
    if not is_batch:
        document = {"outputs": outputs, "shape": shapes[0], "dtype": dtype}
    if _is_short(outputs, most_bytes) and not is_batch:
        return Reply(encode_short(document), MEDIA_TYPES["json"])
    return Reply(encode(document, most_bytes, check), MEDIA_TYPES["json"])


def _is_short(array: NDArray[Any], most_bytes: int) -> bool:
    """Tell whether an array is written soon, and whether an answer may be as long."""
    return (
        0 < array.size <= _SOON_ELEMENTS
        and array.ndim <= _FEW_DIMENSIONS
        and most_bytes >= _SHORT_ANSWER_BYTES
    )


def _sigmoid(values: NDArray[Any], dtype: DtypeName, check: Check) -> NDArray[Any]:
    if values.size <= _STEP_ELEMENTS:
        return sigmoid(values, dtype)
    flat = np.ascontiguousarray(values).reshape(-1)
    result = np.empty(flat.shape, STORAGE[dtype])
    for start in range(0, flat.size, _STEP_ELEMENTS):
        check()
        stop = start + _STEP_ELEMENTS
        result[start:stop] = sigmoid(flat[start:stop], dtype)
    return result.reshape(values.shape)


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
    card = version.engine.card
    count = card.architecture.features
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
    values, outputs = features.values, version.engine.card.architecture.outputs
    rows = values.size // values.shape[-1]
    return 0 < rows * outputs <= _SOON_ELEMENTS and values.ndim <= _FEW_DIMENSIONS


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
        return _npy(logits if output == "logits" else likely, most_bytes)
    document = {
        "model": version.name,
        "version": version.version,
        "logits": logits,
        "probabilities": likely,
        "labels": labels,
        "shape": logits.shape,
    }
    if _is_short(logits, most_bytes):
        pieces = encode_short(document)
    else:
        refuse_long([logits.shape, likely.shape, labels.shape], most_bytes)
        pieces = encode(document, most_bytes, exchange.ticket.check)
    return Reply(pieces, MEDIA_TYPES["json"])


def _npy(values: NDArray[Any], most_bytes: int) -> Reply:
    pieces = write_npy(values)
    if sum(map(len, pieces)) > most_bytes:
        raise too_long(most_bytes)
    return Reply(pieces, MEDIA_TYPES["npy"])
