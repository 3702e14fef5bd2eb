"""What every answer must be, whatever was asked."""

import io
import json
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from fuzzing.application import Answer
from fuzzing.requests import Request

PROBLEM: Final = "application/problem+json"
PROBLEM_BYTES: Final = 4096

# A name from the body may be shown, up to 128 characters of it.
QUOTED_CHARACTERS: Final = 130

_MEDIA_TYPES: Final = {"json": "application/json", "npy": "application/x-npy"}


def answer_fault(request: Request, answer: Answer) -> str | None:
    """Say what is wrong with an answer, if anything is."""
    if answer.status != 200:
        if request.is_good:
            return f"a good body was answered with {answer.status}"
        return _problem_fault(request, answer)
    if request.reads and answer.media_type != _MEDIA_TYPES[request.answer]:
        return f"the answer is {answer.media_type}"
    try:
        return _success_fault(request, answer)
    except (ValueError, KeyError, TypeError) as error:
        return f"the answer cannot be read: {error!r}"


def answer_code(answer: Answer) -> str:
    """Name the outcome: `accepted`, or the code of the error."""
    if answer.status == 200:
        return "accepted"
    try:
        return str(json.loads(answer.body)["code"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status}"


def _problem_fault(request: Request, answer: Answer) -> str | None:
    if not 400 <= answer.status < 500:
        return f"the status is {answer.status}"
    if answer.media_type != PROBLEM or len(answer.body) > PROBLEM_BYTES:
        return f"an error is {answer.media_type} of {len(answer.body)} bytes"
    try:
        problem = json.loads(answer.body)
    except ValueError:
        return "an error is not JSON"
    if not isinstance(problem, dict) or problem.get("status") != answer.status:
        return f"an error of status {answer.status} says something else"
    texts = [value for value in problem.values() if isinstance(value, str)]
    if _quotes(request.body, texts):
        return "an error repeats the payload"
    return None


def _quotes(body: bytes, texts: Sequence[str]) -> bool:
    """Whether a text holds an aligned piece of the body, as any long quote does."""
    said = "\n".join(texts)
    written = body.decode("utf-8", "replace")
    pieces = {
        written[start : start + QUOTED_CHARACTERS]
        for start in range(0, len(written) - QUOTED_CHARACTERS + 1, QUOTED_CHARACTERS)
    }
    return any(piece in said for piece in pieces)


def _success_fault(request: Request, answer: Answer) -> str | None:
    if answer.media_type == _MEDIA_TYPES["npy"]:
        values = np.load(io.BytesIO(answer.body), allow_pickle=False)
        is_logits = b"logits" in request.query
        return None if is_logits else _range_fault(values)
    document = json.loads(answer.body)
    if request.path == "/sigmoid":
        batch, shapes = _sigmoid_parts(document)
        for values, shape in zip(batch, shapes, strict=True):
            fault = _tensor_fault(values, shape) or _range_fault(values)
            if fault:
                return fault
        return None
    shape = document["shape"]
    likely = document["probabilities"]
    return (
        _tensor_fault(document["logits"], shape)
        or _tensor_fault(likely, shape)
        or _range_fault(likely)
    )


def _sigmoid_parts(document: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    if "batch" in document:
        return document["batch"], document["shapes"]
    return [document["outputs"]], [document["shape"]]


def _tensor_fault(values: Any, shape: Sequence[int]) -> str | None:
    """Hold nested lists against the shape that was said; `[]` has no inner sizes."""
    found = np.array(values, dtype=np.float64).shape
    visible = list(shape)
    if 0 in visible:
        visible = visible[: visible.index(0) + 1]
    if list(found) != visible or math.prod(found) != math.prod(shape):
        return f"the shape is {list(found)}, but {list(shape)} was said"
    return None


def _range_fault(values: Any) -> str | None:
    array = np.asarray(values, dtype=np.float64)
    # Also false for NaN.
    within = (array >= 0) & (array <= 1)
    return None if within.all() else "a probability is not within [0, 1]"
