"""What MLServer's own tests send to its endpoints and repository.

https://github.com/SeldonIO/MLServer, commit a325e52, folder tests.
"""

from typing import Final

import httpx

from conforming.answers import (
    both,
    equals,
    error,
    has,
    has_state,
)
from conforming.case import (
    INDEX,
    LOAD,
    REPOSITORY,
    UNLOAD,
    Case,
    get,
    infer,
    post,
    tensor,
)

_ENDPOINTS: Final = "MLServer rest/test_endpoints.py"
_REPOSITORY: Final = "MLServer handlers/test_model_repository.py"


def _ready(name: str, path: str, asked: str, body: object = None) -> Case:
    check = equals(body) if body else has(**{name: True})
    return Case(name, _ENDPOINTS, f"GET {path}", asked, get(path), 200, check)


def _is_metadata(response: httpx.Response) -> bool:
    document = response.json()
    return (
        document["name"] == "sigmoid-serve"
        and document["version"].count(".") >= 1
        and {"model_repository", "binary_tensor_data", "statistics"}
        <= {*document["extensions"]}
    )


_HEALTH_CASES: Final = (
    _ready("live", "/v2/health/live", "200"),
    _ready("ready", "/v2/health/ready", "200"),
    _ready(
        "model ready",
        "/v2/models/breast-cancer/versions/1/ready",
        "200",
        {"name": "breast-cancer", "ready": True},
    ),
    Case(
        "metadata",
        _ENDPOINTS,
        "GET /v2",
        "name, version and extensions",
        get("/v2"),
        200,
        _is_metadata,
    ),
    Case(
        "model metadata",
        _ENDPOINTS,
        "GET /v2/models/digits",
        "name, platform, versions, inputs and outputs",
        get("/v2/models/digits"),
        200,
        has(
            name="digits",
            versions=["1"],
            inputs=[{"name": "inputs", "datatype": "FP32", "shape": [-1, 64]}],
            outputs=[
                {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
                {"name": "logits", "datatype": "FP32", "shape": [-1, 10]},
                {"name": "labels", "datatype": "BYTES", "shape": [-1]},
            ],
        ),
    ),
    *(
        Case(
            name,
            _ENDPOINTS,
            f"GET {path}",
            "nothing: a page of MLServer's own",
            get(path),
            404,
            error(),
            deviation="404",
        )
        for name, path in (
            ("docs", "/v2/docs"),
            ("openapi", "/v2/docs/dataplane.json"),
            ("model docs", "/v2/models/digits/docs"),
        )
    ),
)


_REPOSITORY_CASES: Final = (
    Case(
        "index",
        _ENDPOINTS,
        '{"ready": null}',
        "all models, with their states",
        post(INDEX, {"ready": None}),
        200,
        both(has_state("digits", "READY"), has_state("sigmoid", "READY")),
    ),
    *(
        Case(
            f"index after unload, {name}",
            _REPOSITORY,
            f"{body}, once digits was unloaded",
            asked,
            post(INDEX, body),
            200,
            has_state("digits", state),
            before=(UNLOAD,),
            after=(LOAD,),
        )
        for name, body, state, asked in (
            ("all", {}, "UNAVAILABLE", "that it is unavailable"),
            ("ready", {"ready": True}, None, "only models that are ready"),
            ("not only ready", {"ready": False}, "UNAVAILABLE", "all models"),
        )
    ),
    Case(
        "unload",
        _ENDPOINTS,
        "metadata of a model that was unloaded",
        "an error with a text",
        get("/v2/models/digits"),
        503,
        error("digits", "load"),
        deviation="503",
        before=(UNLOAD,),
        after=(LOAD,),
    ),
    Case(
        "infer while unloaded",
        "MLServer handlers/test_dataplane.py",
        "to a model that is not ready",
        "an error with a text",
        infer(tensor([1, 64], "FP32", [0] * 64), "digits"),
        503,
        error("digits"),
        before=(UNLOAD,),
        after=(LOAD,),
    ),
    Case(
        "load",
        _ENDPOINTS,
        "metadata of a model that was unloaded and loaded again",
        "200",
        get("/v2/models/digits"),
        200,
        has(name="digits"),
        before=(UNLOAD, LOAD),
    ),
    *(
        Case(
            f"{verb}, unknown model",
            source,
            f"POST {verb} of the model my-model",
            "an error with a text",
            post(f"{REPOSITORY}/my-model/{verb}"),
            404,
            error("my-model"),
        )
        for verb, source in (("load", _ENDPOINTS), ("unload", _REPOSITORY))
    ),
)

CASES: Final = (*_HEALTH_CASES, *_REPOSITORY_CASES)
