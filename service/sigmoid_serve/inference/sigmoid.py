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


class Elements(NamedTuple):
    """What the sigmoid is computed of.

    Attributes:
        tensors: One or more.
        dtype: Of the computation's input and result.
        lists: That the answer has, if it is one array of JSON.
        write: Writes the response to the results, flat or in the tensor's shape; calls
            a check again and again, which may raise. May raise a `ServiceError`.
    """

    tensors: Tensors
    dtype: DtypeName
    lists: int
    write: Callable[[NDArray[Any], Check], InferenceResponse]


QuickRead = Callable[[InferenceRequest], Elements | None]
"""Reads a request; None where something may be wrong."""

StrictRead = Callable[[InferenceRequest, Check], Elements]
"""Reads a request; raises a `ServiceError` that says what is wrong."""


async def answer_elementwise(
    request: InferenceRequest, read_quick: QuickRead, read_strict: StrictRead
) -> InferenceResponse:
    """Compute the sigmoid of the tensor or tensors of a request.

    Args:
        request: The request.
        read_quick: Reads the request, in most cases.
        read_strict: Reads it where the other does not.

    Raises:
        ServiceError: The request is not right.
        Abandoned: The client went away meanwhile.
    """
    response = answer_quickly(request, read_quick)
    if response is None:
        response = await read_soon_or_offload(request, _answer, request, read_strict)
    return response


def answer_quickly(
    request: InferenceRequest, read_quick: QuickRead
) -> InferenceResponse | None:
    """Do all of `answer_elementwise`, if it is done soon.

    Raises:
        ServiceError: The request is not right.
    """
    request.state.model_version = ELEMENTWISE_VERSION
    if len(request.body) > _SOON_BYTES:
        return None
    request.state.enter(PARSE)
    elements = read_quick(request)
    if elements is None or not _is_soon(elements):
        return None
    return _computed(request, elements, no_check)


def _is_soon(elements: Elements) -> bool:
    values, shapes = elements.tensors
    # To find the shortest digits of the short types takes longer.
    most = SOON_ELEMENTS >> 4 * (elements.dtype in ("float16", "bfloat16"))
    return values.size <= most and len(shapes) <= most and elements.lists <= most


def _answer(request: InferenceRequest, read_strict: StrictRead) -> InferenceResponse:
    """Do all of `answer_elementwise`, however long it takes."""
    request.state.enter(PARSE)
    check = request.state.check
    return _computed(request, read_strict(request, check), check)


def _computed(
    request: InferenceRequest, elements: Elements, check: Check
) -> InferenceResponse:
    state, (values, shapes) = request.state, elements.tensors
    state.reserve(values.size + len(shapes) - 1)
    state.enter(INFER)
    outputs = _sigmoid(values, elements.dtype, check)
    state.enter(ENCODE)
    return elements.write(outputs, check)


def read_native_quickly(request: InferenceRequest) -> Elements | None:
    """Read a request of the native API, if it is beyond doubt that it is right."""
    return _read(request, read_quickly)


def read_native_strictly(request: InferenceRequest, check: Check) -> Elements:
    """Read a request of the native API.

    Raises:
        ServiceError: It is not right.
    """
    elements = _read(request, partial(read_quickly, check=check))
    if elements is None:
        elements = _read(request, partial(read_strictly, check=check))
    assert elements is not None
    return elements


def _read(request: InferenceRequest, read: Callable[..., Any]) -> Elements | None:
    """Read a body; None where the way to read it leaves it to another."""
    max_elements, max_rank, *_ = request.limits
    if request.content_type == "npy":
        values, dtype = read_npy(request.body, max_elements)
        check_limits(values.shape, None, max_rank, None)
        return _one(request, values, dtype)
    document = read(SigmoidRequest, request.body, ValidationContext(max_elements))
    if document is None:
        return None
    if document.inputs is not None:
        check_limits(document.inputs.shape, "/inputs", max_rank, None)
        return _one(request, document.inputs, document.dtype)
    batch = document.batch or Tensors(np.empty(0), [])
    if max_rank < MAX_RANK:
        for position, shape in enumerate(batch.shapes):
            if len(shape) > max_rank:
                check_limits(shape, extend_pointer("/batch", position), max_rank, None)
    return _several(request, batch, document.dtype)


def _one(request: InferenceRequest, values: NDArray[Any], dtype: DtypeName) -> Elements:
    """Ask for the sigmoid of one tensor."""
    shape, most_bytes = values.shape, request.limits.max_answer_bytes

    def write(outputs: NDArray[Any], check: Check) -> InferenceResponse:
        outputs = shortened(outputs, dtype)
        document: dict[str, Any] = {"outputs": outputs, "shape": shape, "dtype": dtype}
        if is_short(outputs, most_bytes):
            return InferenceResponse(encode_short(document), MEDIA_TYPES["json"])
        return _long_response(document, most_bytes, check)

    def write_npy(outputs: NDArray[Any], check: Check) -> InferenceResponse:
        return npy_response(outputs, most_bytes)

    if request.accept == "npy":
        if dtype == "bfloat16":
            raise _not_in_npy("bfloat16")
        return Elements(Tensors(values, [shape]), dtype, count_lists(shape), write_npy)
    refuse_long([shape], most_bytes)
    return Elements(Tensors(values, [shape]), dtype, count_lists(shape), write)


def _several(request: InferenceRequest, batch: Tensors, dtype: DtypeName) -> Elements:
    """Ask for the sigmoid of each of several tensors."""

    def write(outputs: NDArray[Any], check: Check) -> InferenceResponse:
        tensors = Tensors(shortened(outputs, dtype), batch.shapes)
        document = {"batch": tensors, "dtype": dtype}
        return _long_response(document, request.limits.max_answer_bytes, check)

    if request.accept == "npy":
        raise _not_in_npy("several tensors")
    return Elements(batch, dtype, 0, write)


def _long_response(
    document: dict[str, Any], most_bytes: int, check: Check
) -> InferenceResponse:
    return InferenceResponse(encode(document, most_bytes, check), MEDIA_TYPES["json"])


def _not_in_npy(what: str) -> ServiceError:
    return ServiceError(
        "not_acceptable",
        f"{NPY} cannot hold {what}; ask for application/json",
        expected="Accept: application/json",
        got=f"Accept: {NPY}",
    )


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
