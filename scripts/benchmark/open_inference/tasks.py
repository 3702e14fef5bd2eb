"""Requests of the protocol, as JSON and binary, and the judges of their answers."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson

from benchmark.client import JSON, Request
from benchmark.payloads import (
    FEATURES,
    Floats,
    Task,
    classifier,
    exact_sigmoid,
    is_close,
    logits_of,
    normal,
)

PREDICT_PATH = "/v2/models/model/infer"
SIGMOID_PATH = "/v2/models/sigmoid/infer"
HEADER_LENGTH = "Inference-Header-Content-Length"
_BINARY = "application/octet-stream"
_STORED = np.dtype("<f4")


def json_predict_task(rows: int) -> Task:
    """Ask `classifier()` for all outputs of some rows as JSON; judge the logits."""
    values = normal(rows, FEATURES)
    body = orjson.dumps(
        {"inputs": [{**_described(values), "data": values.ravel()}]},
        option=orjson.OPT_SERIALIZE_NUMPY,
    )
    request = Request("POST", PREDICT_PATH, body, (("Content-Type", JSON),))
    return Task(request, _judge("logits", logits_of(classifier(), values)))


def binary_predict_task(rows: int) -> Task:
    """Ask `classifier()` for the logits of some rows, binary in and out."""
    values = normal(rows, FEATURES)
    wanted = logits_of(classifier(), values)
    return Task(
        _binary_request(PREDICT_PATH, values, "logits"), _judge("logits", wanted)
    )


def binary_sigmoid_task(*shape: int) -> Task:
    """Ask for the sigmoid of an array, binary in and out."""
    values = normal(*shape)
    return Task(
        _binary_request(SIGMOID_PATH, values, "outputs"),
        _judge("outputs", exact_sigmoid(values)),
    )


def read_output(body: bytes, name: str) -> Floats | None:
    """Read a tensor of an answer, from its JSON or from the bytes behind it.

    Args:
        body: Of the answer.
        name: Of the output.

    Returns:
        The tensor in its shape; None where the answer does not have it as FP32.
    """
    # Latin-1 makes each byte one character, and so their count that of the bytes.
    answer, start = json.JSONDecoder().raw_decode(body.decode("latin-1"))
    for output in answer["outputs"]:
        size = (output.get("parameters") or {}).get("binary_data_size", 0)
        part = body[start : start + size]
        start += size
        if output["name"] == name and output["datatype"] == "FP32":
            flat = np.frombuffer(part, _STORED) if size else output["data"]
            values: Floats = np.asarray(flat, np.float32).reshape(output["shape"])
            return values
    return None


def _described(values: Floats) -> Mapping[str, Any]:
    return {"name": "inputs", "shape": list(values.shape), "datatype": "FP32"}


def _binary_request(path: str, values: Floats, output: str) -> Request:
    raw = values.astype(_STORED).tobytes()
    tensor = {**_described(values), "parameters": {"binary_data_size": len(raw)}}
    wanted = {"name": output, "parameters": {"binary_data": True}}
    head = orjson.dumps({"inputs": [tensor], "outputs": [wanted]})
    headers = (("Content-Type", _BINARY), (HEADER_LENGTH, str(len(head))))
    return Request("POST", path, head + raw, headers)


def _judge(name: str, wanted: Floats) -> Callable[[bytes], bool]:
    def is_right(body: bytes) -> bool:
        got = read_output(body, name)
        return got is not None and is_close(got, wanted)

    return is_right
