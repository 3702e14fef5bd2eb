"""The elementwise sigmoid of the tensor or tensors of a request."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sigmoid_models.dtype import STORAGE, DtypeName, shortened
from sigmoid_models.exact_sigmoid import sigmoid
from sigmoid_serve.admission.request_state import ELEMENTWISE_VERSION
from sigmoid_serve.admission.stages import ENCODE, INFER, PARSE
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.inference.media import MEDIA_TYPES, NPY
from sigmoid_serve.inference.request import (
    SOON_ELEMENTS,
    InferenceRequest,
    InferenceResponse,
    is_short,
    npy_response,
    read_soon_or_offload,
)
from sigmoid_serve.inference.schemas import (
    SigmoidRequest,
    ValidationContext,
    read_quickly,
    read_strictly,
)
from sigmoid_serve.json.text import Check, extend_pointer, no_check
from sigmoid_serve.payload.array_shape import MAX_RANK
from sigmoid_serve.payload.array_text import Tensors
from sigmoid_serve.payload.json_answer import (
    count_lists,
    encode,
    encode_short,
    refuse_long,
)
from sigmoid_serve.payload.npy import read_npy
from sigmoid_serve.payload.tensors import check_limits

# Of these, the sigmoid is read, computed and written within a few milliseconds.
_SOON_BYTES: Final = 2**16

# Computed at once, within a few milliseconds.
_STEP_ELEMENTS: Final = 2**17


class _Asked(NamedTuple):
    """What the sigmoid is computed of, and how it is answered."""

    tensors: Tensors
    dtype: DtypeName
    is_batch: bool


async def answer_sigmoid(request: InferenceRequest) -> InferenceResponse:
    """Compute the sigmoid of the tensor or tensors of a request.

    Raises:
        ServiceError: The request is not right.
        Abandoned: The client went away meanwhile.
    """
    reply = quick_sigmoid(request)
    if reply is None:
        reply = await read_soon_or_offload(request, _computed_sigmoid, request)
    return reply


def quick_sigmoid(request: InferenceRequest) -> InferenceResponse | None:
    """Do all of `answer_sigmoid`, if it is done soon.

    Raises:
        ServiceError: The request is not right.
    """
    request.state.model_version = ELEMENTWISE_VERSION
    if len(request.body) > _SOON_BYTES:
        return None
    request.state.enter(PARSE)
    asked = _asked(request, read_quickly)
    if asked is None or not _is_soon(asked):
        return None
    return _answered(request, asked, no_check)


def _is_soon(asked: _Asked) -> bool:
    values, shapes = asked.tensors
    # To find the shortest digits of the short types takes longer.
    most = SOON_ELEMENTS >> 4 * (asked.dtype in ("float16", "bfloat16"))
    return (
        values.size <= most
        and len(shapes) <= most
        and (asked.is_batch or count_lists(shapes[0]) <= most)
    )


def _computed_sigmoid(request: InferenceRequest) -> InferenceResponse:
    """Do all of `answer_sigmoid`, however long it takes."""
    request.state.enter(PARSE)
    check = request.state.check
    asked = _asked(request, partial(read_quickly, check=check))
    if asked is None:
        asked = _asked(request, partial(read_strictly, check=check))
    assert asked is not None
    return _answered(request, asked, check)


def _asked(request: InferenceRequest, read: Callable[..., Any]) -> _Asked | None:
    """Read a body; None where the way to read it leaves it to another."""
    max_elements, max_rank, *_ = request.limits
    if request.content_type == "npy":
        values, dtype = read_npy(request.body, max_elements)
        check_limits(values.shape, None, max_rank, None)
        return _Asked(Tensors(values, [values.shape]), dtype, is_batch=False)
    document = read(SigmoidRequest, request.body, ValidationContext(max_elements))
    if document is None:
        return None
    if document.inputs is not None:
        shape = document.inputs.shape
        check_limits(shape, "/inputs", max_rank, None)
        return _Asked(Tensors(document.inputs, [shape]), document.dtype, is_batch=False)
    batch = document.batch or Tensors(np.empty(0), [])
    if max_rank < MAX_RANK:
        for position, shape in enumerate(batch.shapes):
            if len(shape) > max_rank:
                check_limits(shape, extend_pointer("/batch", position), max_rank, None)
    return _Asked(batch, document.dtype, is_batch=True)


def _answered(
    request: InferenceRequest, asked: _Asked, check: Check
) -> InferenceResponse:
    (values, shapes), dtype, is_batch = asked
    state, most_bytes = request.state, request.limits.max_answer_bytes
    state.reserve(values.size + len(shapes) - 1)
    if request.accept == "npy":
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
    state.enter(INFER)
    outputs = _sigmoid(values, dtype, check)
    state.enter(ENCODE)
    if request.accept == "npy":
        return npy_response(outputs, most_bytes)
    outputs = shortened(outputs, dtype)
    document: dict[str, Any] = {"batch": Tensors(outputs, shapes), "dtype": dtype}
    if not is_batch:
        document = {"outputs": outputs, "shape": shapes[0], "dtype": dtype}
    if is_short(outputs, most_bytes) and not is_batch:
        return InferenceResponse(encode_short(document), MEDIA_TYPES["json"])
    return InferenceResponse(encode(document, most_bytes, check), MEDIA_TYPES["json"])


def _sigmoid(values: NDArray[Any], dtype: DtypeName, check: Check) -> NDArray[Any]:
    if values.size <= _STEP_ELEMENTS:
        return sigmoid(values, dtype)
    flat = np.ascontiguousarray(values).reshape(-1)
    result = np.empty(flat.shape, STORAGE[dtype])
    for start in range(0, flat.size, _STEP_ELEMENTS):
        check()
        stop = start + _STEP_ELEMENTS
        sigmoid(flat[start:stop], dtype, result[start:stop])
    return result.reshape(values.shape)
