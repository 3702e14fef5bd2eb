"""What MLServer's own tests send to infer, and to its codecs.

https://github.com/SeldonIO/MLServer, commit a325e52, folder tests.
"""

import gzip
import json
from typing import Final

import httpx

from conforming.answers import (
    answers,
    both,
    error,
    has,
    header,
    lacks,
    outputs,
    sigmoids,
)
from conforming.case import Case, Request, infer, infer_path, post, tensor

_ENDPOINTS: Final = "MLServer rest/test_endpoints.py"
_CUSTOM: Final = "MLServer rest/test_custom.py"
_NUMPY: Final = "MLServer codecs/test_numpy.py"
_DATAPLANE: Final = "MLServer handlers/test_dataplane.py"

_INTEGERS: Final = tensor([1, 3], "INT32", [1, 2, 3])
_SIGMOIDS: Final = sigmoids([1, 2, 3])
# Members that are not set, as pydantic models are written.
_NULLS: Final = {
    "id": None,
    "parameters": None,
    "inputs": [{**_INTEGERS, "parameters": None}],
    "outputs": None,
}

_INTEGER_TYPES: Final = (
    *("UINT8", "UINT16", "UINT32", "UINT64"),
    *("INT8", "INT16", "INT32", "INT64"),
)
_DATATYPES: Final = {
    **dict.fromkeys(_INTEGER_TYPES, "FP32"),
    "FP16": "FP16",
    "FP32": "FP32",
    "FP64": "FP64",
}


def _datatypes() -> tuple[Case, ...]:
    return tuple(
        Case(
            f"numpy: {datatype}",
            _NUMPY,
            f"{datatype} of shape [2, 2] as a flat list",
            "data is row-major, flat or nested",
            infer(tensor([2, 2], datatype, [1, 2, 3, 4])),
            200,
            answers([2, 2], answered, sigmoids([1, 2, 3, 4])),
        )
        for datatype, answered in _DATATYPES.items()
    )


def _is_compressed(response: httpx.Response) -> bool:
    return response.headers["content-encoding"] == "gzip" and len(outputs(response)) > 0


_INFER_CASES: Final = (
    *(
        Case(
            name,
            _ENDPOINTS,
            f"members that are null, to {path}",
            "200, with the model's name and the outputs",
            post(path, _NULLS),
            200,
            both(has(model_name="sigmoid"), answers([1, 3], "FP32", _SIGMOIDS)),
        )
        for name, path in (
            ("infer", infer_path("sigmoid")),
            ("infer a version", "/v2/models/sigmoid/versions/1/infer"),
        )
    ),
    Case(
        "infer, headers",
        _ENDPOINTS,
        "with X-Foo: bar",
        "nothing: the test's model sends it back",
        infer(_INTEGERS)._replace(headers={"X-Foo": "bar"}),
        200,
        both(header("x-foo", None), answers([1, 3], "FP32", _SIGMOIDS)),
        deviation="echo",
    ),
    Case(
        "infer, unknown model",
        _ENDPOINTS,
        "to the model my-model, version v0",
        "an error with a text",
        post("/v2/models/my-model/versions/v0/infer", {"inputs": [_INTEGERS]}),
        404,
        error("my-model"),
    ),
    Case(
        "infer, unknown version",
        _ENDPOINTS,
        "to version v0 of a model",
        "an error with a text",
        post("/v2/models/digits/versions/v0/infer", {"inputs": [_INTEGERS]}),
        404,
        error("v0"),
    ),
    Case(
        "infer, invalid datatype",
        _ENDPOINTS,
        "datatype INT322",
        "400 and an error with a text",
        infer(tensor([1, 3], "INT322", [1, 2, 3])),
        400,
        error("/inputs/0/datatype", "INT32"),
        deviation="400",
    ),
    Case(
        "generate",
        _ENDPOINTS,
        "POST to a model's generate",
        "nothing: an extension for text",
        post("/v2/models/digits/generate", {"inputs": [_INTEGERS]}),
        404,
        error(),
        deviation="text",
    ),
    Case(
        "missing datatype",
        "MLServer batch_processing/test_rest.py",
        "a tensor without datatype",
        "400 and an error with a text",
        infer({"name": "inputs", "shape": [1, 3], "data": [1, 2, 3]}),
        400,
        error("datatype"),
    ),
    Case(
        "no id",
        _DATAPLANE,
        "a request without an id",
        "an id only where one came",
        infer(_INTEGERS),
        200,
        lacks("id"),
        deviation="id",
    ),
    Case(
        "request in gzip",
        _CUSTOM,
        "a body in gzip",
        "200 (extension of Triton)",
        Request(
            "POST",
            infer_path("sigmoid"),
            gzip.compress(json.dumps(_NULLS).encode()),
            {"Content-Encoding": "gzip"},
        ),
        200,
        answers([1, 3], "FP32", _SIGMOIDS),
    ),
    Case(
        "answer in gzip",
        _CUSTOM,
        "Accept-Encoding: gzip",
        "the answer in gzip (extension of Triton)",
        infer(tensor([500], "FP64", [0.5] * 500))._replace(
            headers={"Accept-Encoding": "gzip"}
        ),
        200,
        _is_compressed,
    ),
)

_CODECS_CASES: Final = (
    *_datatypes(),
    Case(
        "numpy: rank 1",
        _NUMPY,
        "INT32 of shape [3]",
        "the element count is that of the shape",
        infer(tensor([3], "INT32", [1, 2, 3])),
        200,
        answers([3], "FP32", _SIGMOIDS),
    ),
    Case(
        "numpy: missing value",
        _NUMPY,
        "FP16 with null, which is NaN there",
        "nothing: JSON has no NaN",
        infer(tensor([3], "FP16", [1, 2, None])),
        400,
        error("/inputs/0/data/2", "null"),
        deviation="null",
    ),
    *(
        Case(
            f"numpy: {datatype}",
            _NUMPY,
            f"{datatype} as input",
            "200, or an error where the model does not take it",
            infer(tensor([2], datatype, data)),
            400,
            error("/inputs/0/datatype", datatype, "FP32"),
            deviation="numbers",
        )
        for datatype, data in (("BYTES", ["foo", "bar"]), ("BOOL", [True, False]))
    ),
)

CASES: Final = (*_INFER_CASES, *_CODECS_CASES)
