"""What the documents of Triton's extensions ask, and paths.

https://github.com/kserve/open-inference-protocol, specification/protocol;
https://github.com/triton-inference-server/server, docs/protocol.
"""

from typing import Final

import httpx

from conforming.answers import (
    answers,
    both,
    equals,
    error,
    has,
    has_state,
    header,
    is_statistics,
    outputs,
    sigmoids,
)
from conforming.case import (
    INDEX,
    LOAD,
    UNLOAD,
    Case,
    Request,
    get,
    infer,
    infer_path,
    post,
    tensor,
)

_REST: Final = "OIP inference_rest.md"
_CLASSES: Final = "Triton extension_classification.md"
_BINARY: Final = "Triton extension_binary_data.md"
_STATISTICS: Final = "Triton extension_statistics.md"
_REPOSITORY: Final = "Triton extension_model_repository.md"

_PIXELS: Final = tensor([1, 64], "FP32", [0.0] * 64)


def _is_classes(response: httpx.Response) -> bool:
    [output] = outputs(response).values()
    parts = [text.split(":") for text in output.values]
    values = [float(value) for value, _, _ in parts]
    return (
        (output.datatype, output.shape) == ("BYTES", [1, 10])
        and values == sorted(values, reverse=True)
        and all(index == label for _, index, label in parts)
        and len(parts[0][0].partition(".")[2]) == 6
    )


_EXTENSIONS_CASES: Final = (
    *(
        Case(
            f"classification, {name}",
            _CLASSES,
            f"the 20 best of 10 classes, {name}",
            "BYTES value:index:label, the best first, at most as many as there are",
            infer(
                _PIXELS,
                "digits",
                outputs=[{"name": "probabilities", "parameters": parameters}],
            ),
            200,
            _is_classes,
        )
        for name, parameters in (
            ("JSON", {"classification": 20}),
            ("binary", {"classification": 20, "binary_data": True}),
        )
    ),
    Case(
        "BF16, JSON",
        _BINARY,
        "BF16 as JSON",
        "nothing; Triton refuses it",
        infer(tensor([3], "BF16", [-1, 0, 1])),
        200,
        answers([3], "BF16", sigmoids([-1, 0, 1])),
        deviation="fp16",
    ),
    Case(
        "statistics",
        _STATISTICS,
        "GET /v2/models/stats",
        "the statistics of all models",
        get("/v2/models/stats"),
        200,
        both(is_statistics("digits"), is_statistics("sigmoid")),
    ),
    Case(
        "statistics of a version",
        _STATISTICS,
        "GET stats of a version",
        "its statistics",
        get("/v2/models/digits/versions/1/stats"),
        200,
        is_statistics("digits"),
    ),
    Case(
        "configuration",
        "Triton extension_model_configuration.md",
        "GET config",
        "the model's configuration",
        get("/v2/models/digits/config"),
        200,
        both(has(name="digits"), header("content-type", "application/json")),
    ),
    Case(
        "index, empty body",
        _REPOSITORY,
        "POST index with no body, as tritonclient",
        "all models, with their states",
        Request("POST", INDEX),
        200,
        has_state("digits", "READY"),
    ),
    Case(
        "load, tritonclient's body",
        _REPOSITORY,
        "{} to load",
        "200",
        post(LOAD.path, {}),
        200,
        equals({"name": "digits", "load": True}),
    ),
    Case(
        "unload, tritonclient's body",
        _REPOSITORY,
        "unload_dependents to unload",
        "200",
        post(UNLOAD.path, {"parameters": {"unload_dependents": False}}),
        200,
        equals({"name": "digits", "unload": True}),
        after=(LOAD,),
    ),
    *(
        Case(
            f"load with {name}",
            _REPOSITORY,
            f"parameter {name} to load",
            "the model from the request; a server need not take it",
            post(LOAD.path, {"parameters": {name: "{}"}}),
            400,
            error(name),
        )
        for name in ("config", "file:1/model.pt")
    ),
)

_PATHS_CASES: Final = (
    Case(
        "wrong method",
        _REST,
        "GET to infer",
        "an error with a text",
        get(infer_path("sigmoid")),
        405,
        both(error(), header("allow", "POST")),
    ),
    Case(
        "metadata with a slash",
        "OIP open_inference_rest.yaml",
        "GET /v2/",
        "server metadata",
        get("/v2/"),
        200,
        has(name="sigmoid-serve"),
    ),
    Case(
        "percent-encoded name",
        _REST,
        "a name of a model with %2D for its hyphen",
        "200",
        get("/v2/models/breast%2Dcancer"),
        200,
        has(name="breast-cancer"),
    ),
)

CASES: Final = (*_EXTENSIONS_CASES, *_PATHS_CASES)
