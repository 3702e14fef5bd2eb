"""The way of a request: bytes to tensors, tensors to logits, answers to bytes."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from models.dtype import DtypeName, Float64Array, FloatArray
from models.probabilities import labels, probabilities
from models.sigmoid import sigmoid
from service.engine import Engine, RowError
from service.errors import ServiceError
from service.json_body import parse_object
from service.media import MEDIA_TYPES, NPY, Media
from service.npy import read_npy, write_npy
from service.repository import Version
from service.schemas import Intake, PredictRequest, SigmoidRequest, validate
from service.tensors import Features, check_features, encode
from service.timing import Timings

Output = Literal["probabilities", "logits"]


@dataclass(frozen=True)
class Exchange:
    """A request to an inference route, as far as its headers tell.

    Attributes:
        body: All of its bytes.
        request: What the body is written in.
        answer: What the answer shall be written in.
        max_elements: More are refused.
        timings: Filled in on the way.
    """

    body: bytes
    request: Media
    answer: Media
    max_elements: int
    timings: Timings


class Reply(NamedTuple):
    """An answer: its bytes and their media type."""

    content: bytes
    media_type: str


def answer_predict(exchange: Exchange, version: Version, output: Output) -> Reply:
    """Classify the rows of a request.

    Args:
        exchange: The request.
        version: The model that is asked.
        output: Which array an `.npy` answer holds.

    Raises:
        ServiceError: The model is not ready, or the request is not right.
    """
    if version.fault:
        raise ServiceError(
            "not_ready", f"model {version.name} is not ready: {version.fault}"
        )
    timings, engine = exchange.timings, version.engine
    with timings.measure("parse"):
        features = _read_features(exchange, engine)
    with timings.measure("infer"):
        try:
            logits = engine.logits(features.values)
        except RowError as error:
            if exchange.request == "json":
                error.pointer = features.pointer(error.index)
            raise
        likely = probabilities(logits, engine.card)
    with timings.measure("encode"):
        if exchange.answer == "npy":
            return _npy(logits if output == "logits" else likely)
        return _json(
            {
                "model": version.name,
                "version": version.version,
                "logits": logits,
                "probabilities": likely,
                "labels": labels(logits, likely, engine.card).tolist(),
                "shape": logits.shape,
            }
        )


def answer_sigmoid(exchange: Exchange) -> Reply:
    """Compute the sigmoid of the tensor or tensors of a request.

    Raises:
        ServiceError: The request is not right.
    """
    timings = exchange.timings
    with timings.measure("parse"):
        tensors, dtype, is_batch = _read_tensors(exchange)
        if exchange.answer == "npy" and (is_batch or dtype == "bfloat16"):
            what = "several tensors" if is_batch else "bfloat16"
            raise ServiceError(
                "not_acceptable",
                f"{NPY} cannot hold {what}; ask for application/json",
                expected="Accept: application/json",
                got=f"Accept: {NPY}",
            )
    with timings.measure("infer"):
        outputs = [sigmoid(tensor, dtype) for tensor in tensors]
    with timings.measure("encode"):
        if exchange.answer == "npy":
            return _npy(outputs[0])
        return _json(_sigmoid_document(outputs, dtype, is_batch))


def _read_features(exchange: Exchange, engine: Engine) -> Features:
    card = engine.card
    count = card.architecture.features
    if exchange.request == "npy":
        values, _ = read_npy(exchange.body, exchange.max_elements)
        check_features(values.shape, count, None)
        return Features(values)
    intake = Intake(exchange.max_elements, count, card.features)
    return validate(PredictRequest, parse_object(exchange.body), intake).inputs


def _read_tensors(exchange: Exchange) -> tuple[list[Float64Array], DtypeName, bool]:
    """Read the tensors, their dtype, and whether they came as a batch."""
    if exchange.request == "npy":
        values, dtype = read_npy(exchange.body, exchange.max_elements)
        return [values], dtype, False
    intake = Intake(exchange.max_elements)
    request = validate(SigmoidRequest, parse_object(exchange.body), intake)
    if request.inputs is not None:
        return [request.inputs], request.dtype, False
    return request.batch or [], request.dtype, True


def _sigmoid_document(
    outputs: list[FloatArray], dtype: DtypeName, is_batch: bool
) -> dict[str, Any]:
    if is_batch:
        shapes = [output.shape for output in outputs]
        return {"batch": [o[()] for o in outputs], "shapes": shapes, "dtype": dtype}
    # Indexed so, an array of rank 0 becomes a number and any other stays as it is.
    return {"outputs": outputs[0][()], "shape": outputs[0].shape, "dtype": dtype}


def _npy(values: FloatArray) -> Reply:
    return Reply(write_npy(values), MEDIA_TYPES["npy"])


def _json(document: dict[str, Any]) -> Reply:
    return Reply(encode(document), MEDIA_TYPES["json"])
