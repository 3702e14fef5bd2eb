"""Infer: bytes of the protocol to rows or elements, and their answers to its bytes."""

from collections.abc import Mapping
from functools import lru_cache, partial
from math import inf
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sigmoid_serve.admission.stages import ENCODE, PARSE
from sigmoid_serve.engine.background import OFFLOAD_ABOVE_BYTES
from sigmoid_serve.engine.engine import Prediction
from sigmoid_serve.http.protocols.open_inference.answering import (
    Output,
    write_infer,
)
from sigmoid_serve.http.protocols.open_inference.compression import (
    wanted_encoding,
)
from sigmoid_serve.http.protocols.open_inference.reading import (
    InferRequest,
    json_bytes,
    read_quickly,
    read_strictly,
)
from sigmoid_serve.http.protocols.open_inference.schemas import Expectation
from sigmoid_serve.http.protocols.open_inference.signature import (
    ELEMENTWISE,
    ELEMENTWISE_VERSION,
    output_names,
)
from sigmoid_serve.inference.operations import (
    Begin,
    Done,
    Operation,
    Pending,
    Respond,
    asking_elementwise,
    asking_model,
)
from sigmoid_serve.inference.predict import Question
from sigmoid_serve.inference.request import (
    InferenceRequest,
    InferenceResponse,
    Limits,
)
from sigmoid_serve.inference.sigmoid import Elements
from sigmoid_serve.json.text import Check
from sigmoid_serve.payload.array_text import Tensors
from sigmoid_serve.payload.features import Features
from sigmoid_serve.registry.registry import ModelRegistry, ModelVersion

# Labels are names, numbers or booleans, see `sigmoid_models.probabilities`.
_LABELS: Final = {"O": "BYTES", "i": "INT64", "b": "BOOL"}
_DATA: Final = "/inputs/0/data"
LENGTH: Final = b"inference-header-content-length"
"""The header that says where the JSON of a body ends."""


@lru_cache(64)
def _expectation(
    limits: Limits, outputs: tuple[str, ...], features: int
) -> Expectation:
    return Expectation(
        outputs,
        features,
        limits.max_elements,
        limits.max_rank,
        limits.max_rows if features else None,
    )


def _expected(request: InferenceRequest, version: ModelVersion | None) -> Expectation:
    features = version.engine.features if version else 0
    return _expectation(request.limits, output_names(version), features)


def _quickly(
    request: InferenceRequest, version: ModelVersion | None
) -> InferRequest | None:
    request.state.enter(PARSE)
    framing = json_bytes(request.headers.get(LENGTH))
    return read_quickly(request.body, framing, _expected(request, version))


def _strictly(request: InferenceRequest, version: ModelVersion | None) -> InferRequest:
    request.state.enter(PARSE)
    framing = json_bytes(request.headers.get(LENGTH))
    asked = (request.body, framing, _expected(request, version))
    check = request.state.check
    return read_quickly(*asked, check) or read_strictly(*asked, check)


def _shorten_timeout(request: InferenceRequest, asked: InferRequest) -> None:
    if asked.timeout_seconds < inf:
        source = "parameters.timeout of the request"
        request.state.shorten_timeout(asked.timeout_seconds, source)


def read_rows_quickly(
    request: InferenceRequest, version: ModelVersion
) -> Question | None:
    """Read a request to a model, if that is done soon and it is surely right."""
    if len(request.body) > OFFLOAD_ABOVE_BYTES:
        return None
    asked = _quickly(request, version)
    return asked and _question(request, version, asked)


def read_rows_strictly(request: InferenceRequest, version: ModelVersion) -> Question:
    """Read a request to a model.

    Raises:
        ServiceError: It is not right.
    """
    return _question(request, version, _strictly(request, version))


def _question(
    request: InferenceRequest, version: ModelVersion, asked: InferRequest
) -> Question:
    _shorten_timeout(request, asked)
    values = np.ascontiguousarray(asked.values, dtype=np.float64)
    place = _DATA if asked.is_json else None
    features = Features(values, place=place, is_flat=asked.is_flat)
    return features, partial(_write_rows, request, version, asked)


def _write_rows(
    request: InferenceRequest,
    version: ModelVersion,
    asked: InferRequest,
    prediction: Prediction,
) -> InferenceResponse:
    state = request.state
    state.enter(ENCODE)
    if asked.values.ndim != 2:
        prediction = prediction.reshaped(asked.values.shape[:-1])
    logits, likely, labels = prediction
    names = version.output_names
    parts = {
        "probabilities": (likely, "FP32", names),
        "logits": (logits, "FP32", names),
        "labels": (labels, _LABELS[labels.dtype.kind], None),
    }
    return write_infer(
        version.name,
        version.number,
        asked.id,
        [Output(each, *parts[each.name]) for each in asked.outputs],
        request.limits.max_answer_bytes,
        state.check,
    )


def read_elements_quickly(request: InferenceRequest) -> Elements | None:
    """Read a request for the sigmoid of a tensor, if it is surely right."""
    asked = _quickly(request, None)
    return asked and _elements(request, asked)


def read_elements_strictly(request: InferenceRequest, _check: Check) -> Elements:
    """Read a request for the sigmoid of a tensor.

    Raises:
        ServiceError: It is not right.
    """
    return _elements(request, _strictly(request, None))


def _elements(request: InferenceRequest, asked: InferRequest) -> Elements:
    _shorten_timeout(request, asked)
    state = request.state
    state.model, state.model_version = ELEMENTWISE, ELEMENTWISE_VERSION
    values, datatype = asked.values, asked.datatype
    name = "FP32" if values.dtype.kind in "iu" else datatype.name

    def write(outputs: NDArray[Any], check: Check) -> InferenceResponse:
        return write_infer(
            ELEMENTWISE,
            ELEMENTWISE_VERSION,
            asked.id,
            [Output(each, outputs, name) for each in asked.outputs],
            request.limits.max_answer_bytes,
            check,
        )

    # The data of an answer is one list, whatever the shape.
    return Elements(Tensors(values, [values.shape]), datatype.dtype, 1, write)


def _uncompressed(begin: Begin) -> Begin:
    """Leave to the other path what is to be compressed."""

    def begin_uncompressed(
        request: InferenceRequest,
        registry: ModelRegistry,
        path: Mapping[str, str],
        respond: Respond,
    ) -> Done | Pending | None:
        if wanted_encoding(request.headers.get(b"accept-encoding")):
            return None
        return begin(request, registry, path, respond)

    return begin_uncompressed


_ask_model = _uncompressed(asking_model(read_rows_quickly))
_ask_elementwise = _uncompressed(asking_elementwise(read_elements_quickly))

OPERATIONS: Final = (
    Operation(f"/v2/models/{ELEMENTWISE}/infer", _ask_elementwise),
    Operation(
        f"/v2/models/{ELEMENTWISE}/versions/{ELEMENTWISE_VERSION}/infer",
        _ask_elementwise,
    ),
    Operation("/v2/models/{name}/infer", _ask_model),
    Operation("/v2/models/{name}/versions/{version}/infer", _ask_model),
)
"""The rows of the fast path; what stands first is meant, of two that fit."""
