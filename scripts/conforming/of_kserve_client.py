"""What KServe's client sends in its own tests, and what they have it read.

https://github.com/kserve/kserve, commit aaac4e2, folder python/kserve/test.
"""

from typing import Final

import numpy as np

from conforming.answers import (
    answers,
    both,
    error,
    has,
)
from conforming.case import (
    Case,
    framed,
    infer,
    infer_path,
    post,
    tensor,
)
from conforming.kserve_values import (
    FLAT,
    HALVES,
    PARAMETERS,
    PIXELS,
    SIGMOIDS,
    VALUES,
    asked,
    digits,
)

_TYPES: Final = "KServe test_infer_type.py"
_CLIENT: Final = "KServe test_inference_client.py"

_SINGLES: Final = np.array(VALUES, "<f4").tobytes()
_OCTETS: Final = {"Content-Type": "application/octet-stream"}

CASES: Final = (
    Case(
        "truncated JSON",
        _TYPES,
        "JSON that ends too early, and a length beyond the body",
        "400 and an error with a text",
        framed({}, b"", length=100),
        400,
        error("Inference-Header-Content-Length", "100"),
    ),
    Case(
        "no data",
        _TYPES,
        "a tensor with neither data nor binary_data_size",
        "400 and an error with a text",
        infer(tensor([1], "INT32", None)),
        400,
        error("data"),
    ),
    Case(
        "bytes that belong to no tensor",
        _TYPES,
        "bytes after the JSON, but no binary_data_size",
        "400 and an error with a text (binary extension)",
        framed({"inputs": [tensor([3], "INT32", None)]}, b"\1\0\0\0" * 3),
        400,
        error(),
    ),
    Case(
        "two inputs",
        _TYPES,
        "an input as JSON and one as binary",
        "400 where the model has no such input",
        framed(
            {
                "inputs": [
                    tensor([2, 4], "FP32", FLAT),
                    {
                        **tensor([2, 4], "FP16", None),
                        "name": "fp16_data",
                        "parameters": {"binary_data_size": len(HALVES)},
                    },
                ]
            },
            HALVES,
        ),
        400,
        error("inputs"),
        deviation="one",
    ),
    Case(
        "requested outputs with other parameters",
        _TYPES,
        "parameters of all kinds of an output",
        "200",
        infer(PIXELS, "digits", outputs=[asked("logits", **PARAMETERS)]),
        200,
        digits("logits", False),
    ),
    Case(
        "client: binary",
        _CLIENT,
        "as the client sends it, with a content type and all outputs binary",
        "200; data after the JSON (binary extension)",
        framed(
            {
                "id": "2ja0ls9j1309",
                "model_name": "sigmoid",
                "inputs": [
                    tensor(
                        [2, 4],
                        "FP32",
                        None,
                        parameters={"test-param": "abc", "binary_data_size": 32},
                    )
                ],
                "parameters": {"test-param": "abc", "binary_data_output": True},
            },
            _SINGLES,
            **_OCTETS,
        ),
        200,
        both(has(id="2ja0ls9j1309"), answers([2, 4], "FP32", SIGMOIDS, is_binary=True)),
    ),
    Case(
        "client: a parameter of the request at an output",
        _CLIENT,
        "binary_data_output where binary_data belongs",
        "nothing: an output has no such parameter",
        infer(
            tensor([2, 4], "FP32", VALUES),
            outputs=[asked("outputs", binary_data_output=True)],
        ),
        200,
        answers([2, 4], "FP32", SIGMOIDS),
    ),
    Case(
        "client: a body of KServe V1",
        _CLIENT,
        '{"instances": …} to infer',
        "400 and an error with a text",
        post(infer_path("sigmoid"), {"instances": [1, 2]}),
        400,
        error("inputs"),
    ),
)
