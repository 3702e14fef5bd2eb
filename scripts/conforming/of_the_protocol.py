"""What the documents of the protocol ask, rule by rule.

https://github.com/kserve/open-inference-protocol, specification/protocol;
https://github.com/triton-inference-server/server, docs/protocol.
"""

import json
from typing import Any, Final

from conforming.answers import (
    answers,
    both,
    error,
    has,
    lacks,
    names,
    sigmoids,
)
from conforming.case import Case, Request, infer, infer_path, post, tensor

_REST: Final = "OIP inference_rest.md"

VALUES: Final = [-1.0, 0.0, 1.0, 2.0, 3.0, 4.0]
SIGMOIDS: Final = sigmoids(VALUES)
NESTED: Final = [VALUES[:3], VALUES[3:]]
_FLAT: Final = tensor([2, 3], "FP32", VALUES)
_TEXT: Final = json.dumps({"inputs": [_FLAT]}).encode()
_RIGHT: Final = answers([2, 3], "FP32", SIGMOIDS)
_ERROR: Final = "400 and an error with a text"
_ROW: Final = tensor([30], "FP32", [0.0] * 30)


def _refused(name: str, sent: str, request: Request, *words: str, **more: Any) -> Case:
    return Case(name, _REST, sent, _ERROR, request, 400, error(*words), **more)


def _content_types() -> tuple[Case, ...]:
    types = {
        "none": {},
        "octets": {"Content-Type": "application/octet-stream"},
        "JSON": {"Content-Type": "application/json"},
        "JSON with a charset": {"Content-Type": "application/json; charset=utf-8"},
        "a form": {"Content-Type": "application/x-www-form-urlencoded"},
    }
    return tuple(
        Case(
            f"content type: {name}",
            _REST,
            f"JSON whose content type is {name}",
            "200: clients send none, or any",
            Request("POST", infer_path("sigmoid"), _TEXT, headers),
            200,
            _RIGHT,
        )
        for name, headers in types.items()
    )


_DATA_CASES: Final = (
    *_content_types(),
    Case("flat", _REST, "a flat list", "200", infer(_FLAT), 200, _RIGHT),
    Case(
        "nested",
        _REST,
        "lists nested as the shape",
        "200",
        infer(tensor([2, 3], "FP32", NESTED)),
        200,
        _RIGHT,
    ),
    Case(
        "rank 0",
        _REST,
        "a shape without dimensions",
        "200",
        infer(tensor([], "FP64", [1.0])),
        200,
        answers([], "FP64", sigmoids([1.0])),
    ),
    Case(
        "no rows",
        _REST,
        "a shape with a dimension of 0, to a model",
        "200 and outputs without elements",
        infer(tensor([0, 30], "FP32", []), "breast-cancer"),
        200,
        both(
            answers([0, 1], "FP32", [], "probabilities"),
            answers([0], "BYTES", [], "labels"),
        ),
    ),
    Case(
        "a row",
        _REST,
        "one row of the features of a model, to all its outputs",
        "200 and all outputs",
        infer(_ROW, "breast-cancer"),
        200,
        both(
            names("probabilities", "logits", "labels"),
            answers([1], "FP32", name="logits"),
            answers([], "BYTES", name="labels"),
            has(model_name="breast-cancer", model_version="1"),
        ),
    ),
    _refused(
        "count", "5 elements for 6", infer(tensor([2, 3], "FP32", VALUES[:5])), "6", "5"
    ),
    _refused(
        "features",
        "29 features for a model of 30",
        infer(tensor([1, 29], "FP32", [0.0] * 29), "breast-cancer"),
        "30",
        "29",
    ),
    _refused(
        "negative dimension",
        "shape [-1, 3]",
        infer(tensor([-1, 3], "FP32", VALUES)),
        "/inputs/0/shape",
    ),
    Case(
        "vast shape",
        _REST,
        "shape [10**9, 10**9]",
        "an error with a text",
        infer(tensor([10**9, 10**9], "FP32", [])),
        413,
        error("/inputs/0/shape"),
    ),
    _refused(
        "shape is no list",
        'shape "-1"',
        infer({**_FLAT, "shape": "-1"}),
        "/inputs/0/shape",
    ),
    _refused(
        "unknown input",
        "an input whose name is x",
        infer({**_FLAT, "name": "x"}),
        "inputs",
        "x",
    ),
    _refused(
        "unknown output",
        "an output whose name is scores",
        infer(_FLAT, outputs=[{"name": "scores"}]),
        "/outputs/0/name",
        "scores",
        "outputs",
    ),
    _refused(
        "doubled output",
        "an output twice",
        infer(_FLAT, outputs=[{"name": "outputs"}] * 2),
        "/outputs/1/name",
    ),
    _refused(
        "out of range",
        "300 as UINT8; Triton wraps it",
        infer(tensor([1], "UINT8", [300])),
        "/inputs/0/data/0",
        deviation="integers",
    ),
    _refused(
        "not a whole number",
        "3.5 as INT32",
        infer(tensor([1], "INT32", [3.5])),
        "/inputs/0/data/0",
    ),
    _refused(
        "infinite",
        "1e999",
        post(infer_path("sigmoid"), _TEXT.replace(b"4.0", b"1e999")),
    ),
    _refused("no JSON", "half of the JSON", post(infer_path("sigmoid"), _TEXT[:40])),
    _refused("no body", "an empty body", post(infer_path("sigmoid"))),
    _refused(
        "doubled name",
        'a second "inputs"',
        post(infer_path("sigmoid"), b'{"inputs": [], ' + _TEXT[1:]),
        "same key twice",
        deviation="strict",
    ),
)

_MEMBERS_CASES: Final = (
    Case(
        "outputs in order",
        _REST,
        "two outputs, the last first",
        "the outputs in the order of the request",
        infer(_ROW, "breast-cancer", outputs=[{"name": "labels"}, {"name": "logits"}]),
        200,
        names("labels", "logits"),
    ),
    Case(
        "outputs empty",
        _REST,
        "an empty list of outputs",
        "all outputs",
        infer(_ROW, "breast-cancer", outputs=[]),
        200,
        names("probabilities", "logits", "labels"),
    ),
    Case("id", _REST, "an id", "that id", infer(_FLAT, id="ü-7"), 200, has(id="ü-7")),
    Case("no id", _REST, "none", "none", infer(_FLAT), 200, lacks("id")),
    _refused("id is a number", "an id that is no text", infer(_FLAT, id=7), "/id"),
    Case(
        "unknown members",
        _REST,
        "members that no document names",
        "200",
        infer({**_FLAT, "colour": 1}, model_name="m", colour={"a": [1]}),
        200,
        _RIGHT,
    ),
    Case(
        "timeout",
        "Triton extension_schedule_policy.md",
        "10 s as microseconds, and a priority",
        "200",
        infer(_FLAT, parameters={"timeout": 10_000_000, "priority": 1}),
        200,
        _RIGHT,
    ),
    _refused(
        "parameter is a list",
        "a parameter that is a list",
        infer(_FLAT, parameters={"a": [1]}),
        "/parameters/a",
    ),
    *(
        _refused(
            name, f"parameter {name}", infer(_FLAT, parameters={name: value}), name
        )
        for name, value in (
            ("sequence_id", 5),
            ("sequence_start", True),
            ("triton_enable_empty_final_response", True),
        )
    ),
    _refused(
        "shared memory",
        "a tensor in shared memory",
        infer(
            tensor([6], "FP32", None, parameters={"shared_memory_region": "a"}),
        ),
        "shared",
    ),
)


CASES: Final = (*_DATA_CASES, *_MEMBERS_CASES)
