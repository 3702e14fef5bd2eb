"""Answers to infer: JSON alone, or JSON and then the bytes of its binary outputs."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

from sigmoid_models.dtype import DtypeName, shortened
from sigmoid_serve.http.protocols.open_inference.classification import classify
from sigmoid_serve.http.protocols.open_inference.forms import RequestedOutput
from sigmoid_serve.inference.media import MEDIA_TYPES
from sigmoid_serve.inference.request import InferenceResponse, is_short
from sigmoid_serve.json.text import Check
from sigmoid_serve.payload.json_answer import (
    encode,
    encode_short,
    refuse_long,
    too_long,
)
from sigmoid_serve.payload.raw_writing import write_bytes, write_raw

BINARY_MEDIA_TYPE: Final = "application/octet-stream"

# What to ask for where an answer is too long, in JSON and as it is.
_COMPACT: Final = "binary outputs (parameters.binary_data_output)"
_FEWER: Final = "fewer outputs (outputs)"

# Datatypes of which fewer digits than those of the type that stores them will do.
_SHORT_TYPES: Final[dict[str, DtypeName]] = {"FP16": "float16", "BF16": "bfloat16"}

# Strings that are written in one call, which holds the interpreter.
_STEP_STRINGS: Final = 2**15


class Output(NamedTuple):
    """An output that is answered.

    Attributes:
        asked: How it is asked for.
        values: In any shape; of the type that stores the datatype, float32 for `BF16`,
            objects for `BYTES`, each a string.
        datatype: The protocol's name of it.
        labels: What each element of a row is called, where known.
    """

    asked: RequestedOutput
    values: NDArray[Any]
    datatype: str
    labels: Sequence[str] | None = None


def write_infer(
    model: str,
    version: str,
    id: str,
    outputs: Sequence[Output],
    most_bytes: int,
    check: Check,
) -> InferenceResponse:
    """Write the answer to a request.

    Args:
        model: Its name.
        version: Of the model.
        id: That the request had; empty where it had none.
        outputs: In the order in which they are answered.
        most_bytes: The most bytes of the answer.
        check: Called again and again; it may raise, and so end the work.

    Returns:
        The pieces are the JSON and then, without a copy, each binary output. `data` is
        flat. Numbers in JSON have the shortest digits that read back to the same value
        of their datatype.

    Raises:
        ServiceError: `too_many_elements` where it is too long, or where more is to be
            classified than can be; `dtype` where labels are.
    """
    entries: list[dict[str, Any]] = []
    texts: list[dict[str, Any]] = []
    tail: list[bytes | memoryview] = []
    for position, output in enumerate(outputs):
        asked, values, datatype, names = output
        if asked.classes:
            pointer = f"/outputs/{position}/parameters/classification"
            values = classify(values, asked.classes, names, pointer, check)
            datatype = "BYTES"
        entry: dict[str, Any]
        entry = {"name": asked.name, "datatype": datatype, "shape": values.shape}
        entries.append(entry)
        if asked.is_binary:
            pieces = _binary(values, datatype, check)
            entry["parameters"] = {"binary_data_size": sum(map(len, pieces))}
            tail += pieces
        else:
            entry["data"] = values if values.ndim == 1 else values.ravel()
            texts.append(entry)
    document: dict[str, Any] = {"model_name": model, "model_version": version}
    if id:
        document["id"] = id
    document["outputs"] = entries
    head = _json(document, texts, most_bytes, check)
    if len(texts) == len(outputs):
        return InferenceResponse(head, MEDIA_TYPES["json"])
    length = sum(map(len, head))
    if length + sum(map(len, tail)) > most_bytes:
        raise too_long(most_bytes, _FEWER)
    line = (b"inference-header-content-length", b"%d" % length)
    return InferenceResponse([*head, *tail], BINARY_MEDIA_TYPE, (line,))


def _json(
    document: dict[str, Any],
    texts: Sequence[dict[str, Any]],
    most_bytes: int,
    check: Check,
) -> list[bytes]:
    """Write the JSON of an answer.

    Args:
        document: All of it.
        texts: Its outputs that have `data`, in one list each.
        most_bytes: The most bytes of the answer.
        check: Called again and again; it may raise, and so end the work.
    """
    is_soon = True
    for entry in texts:
        is_soon = is_soon and is_short(entry["data"], most_bytes)
    if not is_soon:
        refuse_long([entry["data"].shape for entry in texts], most_bytes, _COMPACT)
    for entry in texts:
        if entry["datatype"] in _SHORT_TYPES:
            dtype = _SHORT_TYPES[entry["datatype"]]
            entry["data"] = shortened(entry["data"], dtype)
    if is_soon:
        return encode_short(document)
    return encode(document, most_bytes, check, _COMPACT)


def _binary(
    values: NDArray[Any], datatype: str, check: Check
) -> list[bytes | memoryview]:
    """Write an output as bytes; strings in pieces, for they are many small objects."""
    if datatype != "BYTES":
        return [write_raw(values, datatype)]
    flat, pieces = values.ravel(), list[bytes | memoryview]()
    for start in range(0, flat.size, _STEP_STRINGS):
        check()
        pieces.append(write_bytes(flat[start : start + _STEP_STRINGS].tolist()))
    return pieces
