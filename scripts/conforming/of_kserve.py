"""What KServe's own tests send to its endpoints, and what its client sends.

https://github.com/kserve/kserve, commit aaac4e2, folder python/kserve/test.
"""

import json
from typing import Final

from conforming.answers import (
    answers,
    both,
    equals,
    error,
    has,
    has_models,
    has_state,
    lacks,
    names,
    sigmoids,
)
from conforming.case import (
    INDEX,
    LOAD,
    UNLOAD,
    Case,
    binary,
    get,
    infer,
    post,
    tensor,
)
from conforming.kserve_values import (
    HALVES,
    PARAMETERS,
    PIXELS,
    SIGMOIDS,
    VALUES,
    asked,
    digits,
)

_SERVER: Final = "KServe test_server.py"
_EXTENSION: Final = "KServe test_model_repository_extension.py"

_ENDPOINTS_CASES: Final = (
    Case(
        "list of models",
        _SERVER,
        "GET /v2/models",
        "the names of all models (KServe's own)",
        get("/v2/models"),
        200,
        has_models("breast-cancer", "digits", "sigmoid"),
    ),
    Case(
        "unknown path",
        _SERVER,
        "GET /v2/unknown_path",
        "an error with a text",
        get("/v2/unknown_path"),
        404,
        error(),
    ),
    Case(
        "infer, nested data",
        _SERVER,
        "INT32 of shape [1, 2] as nested lists",
        "200; data of the answer in the order of rows",
        infer(tensor([1, 2], "INT32", [[1, 2]])),
        200,
        answers([1, 2], "FP32", sigmoids([1, 2])),
    ),
    Case(
        "infer, parameters",
        _SERVER,
        "parameters of all kinds, of the request and of its tensor, and an id",
        "the id; what parameters mean is the server's to say",
        infer(
            tensor([1, 2], "INT32", [1, 2], parameters=PARAMETERS),
            id="123",
            model_name="sigmoid",
            parameters=PARAMETERS,
        ),
        200,
        both(has(id="123", model_name="sigmoid"), lacks("parameters")),
        deviation="echo",
    ),
    Case(
        "FP16 input, binary",
        _SERVER,
        "FP16 after the JSON",
        "200 (binary extension)",
        binary([2, 4], "FP16", HALVES),
        200,
        answers([2, 4], "FP16", SIGMOIDS),
    ),
    Case(
        "FP16 input, JSON",
        _SERVER,
        "FP16 as JSON",
        "nothing; KServe and Triton refuse it",
        infer(tensor([2, 4], "FP16", VALUES)),
        200,
        answers([2, 4], "FP16", SIGMOIDS),
        deviation="fp16",
    ),
    Case(
        "FP16 output, binary",
        _SERVER,
        "FP16 whose output is asked for as binary",
        "the output after the JSON (binary extension)",
        infer(
            tensor([2, 4], "FP16", VALUES),
            outputs=[asked("outputs", binary_data=True)],
        ),
        200,
        answers([2, 4], "FP16", SIGMOIDS, is_binary=True),
    ),
    Case(
        "mixed outputs",
        _SERVER,
        "one output as binary, one as JSON",
        "both, in the order of the request (binary extension)",
        infer(
            PIXELS,
            "digits",
            outputs=[
                asked("logits", binary_data=True),
                asked("probabilities", binary_data=False),
            ],
        ),
        200,
        both(
            names("logits", "probabilities"),
            digits("logits", True),
            digits("probabilities", False),
        ),
    ),
    Case(
        "requested output",
        _SERVER,
        "one output of three is asked for",
        "that output and no other",
        infer(PIXELS, "digits", outputs=[asked("logits", binary_data=False)]),
        200,
        both(names("logits"), digits("logits", False)),
    ),
    Case(
        "all outputs binary",
        _SERVER,
        "binary_data_output of the request",
        "all outputs after the JSON (binary extension)",
        infer(PIXELS, "digits", parameters={"binary_data_output": True}),
        200,
        both(
            names("probabilities", "logits", "labels"),
            digits("probabilities", True),
            digits("logits", True),
            answers([2], "BYTES", name="labels", is_binary=True),
        ),
    ),
    Case(
        "precedence of binary_data",
        _SERVER,
        "binary_data_output, and binary_data false of one output",
        "the output's own word counts (binary extension)",
        infer(
            PIXELS,
            "digits",
            parameters={"binary_data_output": True},
            outputs=[asked("logits", binary_data=False), {"name": "labels"}],
        ),
        200,
        both(
            digits("logits", False),
            answers([2], "BYTES", name="labels", is_binary=True),
        ),
    ),
)


_REPOSITORY_CASES: Final = (
    *(
        Case(
            verb,
            _SERVER,
            f"POST {verb} with an empty body",
            "200 (repository extension)",
            request,
            200,
            equals({"name": "digits", verb: True}),
            before=before,
            after=(LOAD,),
        )
        for verb, request, before in (
            ("load", LOAD, (UNLOAD,)),
            ("unload", UNLOAD, ()),
        )
    ),
    Case(
        "model not ready",
        _SERVER,
        "GET ready of a model that is not loaded",
        "503",
        get("/v2/models/digits/ready"),
        503,
        error("digits"),
        before=(UNLOAD,),
        after=(LOAD,),
    ),
    Case(
        "model ready, unknown",
        "KServe test_dataplane.py",
        "GET ready of a model that is not known",
        "404",
        get("/v2/models/my-model/ready"),
        404,
        error("my-model"),
    ),
    Case(
        "index",
        _EXTENSION,
        "an empty object",
        "all models, with their states",
        post(INDEX, json.dumps({}).encode()),
        200,
        has_state("breast-cancer", "READY"),
    ),
)

CASES: Final = (*_ENDPOINTS_CASES, *_REPOSITORY_CASES)
