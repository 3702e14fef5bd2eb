"""The schema tells the truth: its examples work, and its models are what validates."""

import copy
import json
from typing import Annotated, Any

import httpx
import numpy as np
import pytest
from jsonschema_rs import Draft202012Validator
from pydantic import Field, create_model

from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.errors import ElementError
from sigmoid_serve.http.openapi import build_document, inference_operation
from sigmoid_serve.http.protocols.table import PROTOCOLS
from sigmoid_serve.inference.schemas import (
    PredictRequest,
    ValidationContext,
    read_quickly,
    read_strictly,
)
from tests.conftest import serve


def documented(client: httpx.Client) -> Any:
    return client.get("/openapi.json").json()


def close(got: Any, want: Any) -> bool:
    """Compare as printed; a float may differ in its last bits on another machine."""
    if isinstance(want, dict):
        return got.keys() == want.keys() and all(close(got[k], want[k]) for k in want)
    if isinstance(want, list):
        return len(got) == len(want) and all(map(close, got, want))
    if isinstance(want, float):
        return bool(np.isclose(got, want, rtol=1e-5, atol=1e-12))
    return bool(got == want)


def test_references_resolve(client: httpx.Client) -> None:
    document = documented(client)
    text = json.dumps(document)
    for part in text.split('"$ref": "')[1:]:
        reference = part.split('"', maxsplit=1)[0]
        assert reference.split("/")[-1] in document["components"]["schemas"]
    assert "HTTPValidationError" not in text


def native_paths(client: httpx.Client) -> dict[str, Any]:
    """The paths that are no protocol's, with their operations."""
    return {
        path: operations
        for path, operations in documented(client)["paths"].items()
        if not any(protocol.is_of(path) for protocol in PROTOCOLS)
    }


def test_every_route_is_documented(client: httpx.Client) -> None:
    assert set(native_paths(client)) == {
        "/predict",
        "/models/{name}/predict",
        "/models/{name}/versions/{version}/predict",
        "/sigmoid",
        "/models",
        "/models/{name}",
        "/models/{name}/versions/{version}",
        "/models/{name}/reload",
        "/limits",
        "/metrics",
        "/livez",
        "/readyz",
        "/startupz",
    }


def test_every_route_has_the_tag_of_its_group(client: httpx.Client) -> None:
    groups: dict[str, set[str]] = {}
    for path, operations in native_paths(client).items():
        for operation in operations.values():
            (tag,) = operation["tags"]
            groups.setdefault(tag, set()).add(path)
    assert groups["health"] == {"/livez", "/readyz", "/startupz"}
    assert groups["admin"] == {"/limits", "/metrics", "/models/{name}/reload"}
    assert groups.keys() == {"inference", "models", "health", "admin"}


def test_the_request_schema_is_that_of_the_model(client: httpx.Client) -> None:
    schemas = documented(client)["components"]["schemas"]
    assert schemas["PredictRequest"]["additionalProperties"] is False
    assert schemas["PredictRequest"]["required"] == ["inputs"]
    assert schemas["SigmoidRequest"]["properties"].keys() == {
        "dtype",
        "inputs",
        "batch",
    }
    dtype, null = schemas["SigmoidRequest"]["properties"]["dtype"]["anyOf"]
    assert (dtype, null) == ({"$ref": "#/components/schemas/Dtype"}, {"type": "null"})
    assert schemas["Dtype"]["enum"] == ["float16", "bfloat16", "float32", "float64"]


def test_no_schema_refers_to_itself(client: httpx.Client) -> None:
    schemas = documented(client)["components"]["schemas"]
    below = {
        name: {
            part.split('"')[0].split("/")[-1]
            for part in json.dumps(schema).split('"$ref": "')[1:]
        }
        for name, schema in schemas.items()
    }
    # Those that refer to none are taken out until none is left.
    while leaves := {name for name, names in below.items() if not names}:
        below = {n: names - leaves for n, names in below.items() if n not in leaves}
    assert not below


@pytest.mark.parametrize(
    ("name", "body", "is_valid"),
    [
        ("SigmoidRequest", {"inputs": 1}, True),
        ("SigmoidRequest", {"inputs": [[[[[1, 2]]]]], "dtype": None}, True),
        ("SigmoidRequest", {"inputs": [[], []], "batch": None}, True),
        ("SigmoidRequest", {"batch": [1, [], [[2]]], "dtype": "float64"}, True),
        ("SigmoidRequest", {"inputs": 1, "batch": [1]}, False),
        ("SigmoidRequest", {"inputs": None, "batch": None}, False),
        ("SigmoidRequest", {"dtype": "float16"}, False),
        ("SigmoidRequest", {"inputs": 1, "dtype": "int8"}, False),
        ("SigmoidRequest", {"inputs": [[1, "2"]]}, False),
        ("SigmoidRequest", {"inputs": [[1], None]}, False),
        ("PredictRequest", {"inputs": [0] * 30}, True),
        ("PredictRequest", {"inputs": [[[[[0] * 30]]]]}, True),
        ("PredictRequest", {"inputs": None}, False),
        ("PredictRequest", {"inputs": 1}, False),
        ("PredictRequest", {"inputs": {"mean radius": "1"}}, False),
        ("PredictRequest", {"inputs": [0] * 30, "more": 1}, False),
    ],
)
def test_a_validator_agrees_with_the_service(
    client: httpx.Client, name: str, body: Any, is_valid: bool
) -> None:
    document = documented(client)
    schema = {"$ref": f"#/components/schemas/{name}", **document}
    validator = Draft202012Validator(schema)
    assert validator.is_valid(body) == is_valid
    path = "/sigmoid" if name == "SigmoidRequest" else "/predict"
    answer = client.post(path, json=body)
    assert answer.is_success == is_valid
    success = document["paths"][path]["post"]["responses"]["200"]
    shown = success["content"]["application/json"]["schema"]
    if is_valid:
        assert Draft202012Validator({**shown, **document}).is_valid(answer.json())
    else:
        problem = {"$ref": "#/components/schemas/Problem", **document}
        assert Draft202012Validator(problem).is_valid(answer.json())


def test_operations_have_short_names(client: httpx.Client) -> None:
    operations = {
        operation["operationId"]: operation
        for methods in native_paths(client).values()
        for operation in methods.values()
    }
    assert operations.keys() == {
        *("predict", "predict_model", "predict_version", "sigmoid"),
        *("list_models", "get_model", "get_version", "reload_model"),
        *("get_limits", "get_metrics", "livez", "readyz", "startupz"),
    }
    (output,) = operations["predict"]["parameters"]
    assert output["schema"]["enum"] == ["probabilities", "logits"]
    assert output["description"]
    for name, operation in operations.items():
        success = operation["responses"]["200"]["content"]
        assert all(media["schema"] for media in success.values()), name
        for status, response in operation["responses"].items():
            (shown,) = response["content"].values() if status != "200" else ({},)
            if name in ("readyz", "startupz") and status == "503":
                assert shown["schema"]["$ref"].endswith("/Health")
            elif status != "200":
                assert shown["schema"]["$ref"].endswith("/Problem"), (name, status)


def test_extra_fields_are_shown_where_they_are_passed_over() -> None:
    with serve(Settings(extra_fields="ignore")) as client:
        document = documented(client)
    for name in ("PredictRequest", "FeatureRecord"):
        assert document["components"]["schemas"][name]["additionalProperties"] is True
    sigmoid = document["components"]["schemas"]["SigmoidRequest"]
    assert sigmoid["additionalProperties"] is False


def test_a_new_field_changes_intake_and_schema_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    intake = ValidationContext(10, 1)
    body = b'{"inputs": [1.0], "note": "x"}'
    with pytest.raises(ElementError, match="the field note"):
        read_strictly(PredictRequest, body, intake)
    wider = create_model(
        "PredictRequest",
        __base__=PredictRequest,
        note=(Annotated[str, Field(max_length=3)], ...),
    )
    for read in (read_strictly, read_quickly):
        request = read(wider, body, intake)
        assert request is not None
        assert request.inputs.values.tolist() == [1.0]
    with pytest.raises(ElementError) as raised:
        read_strictly(wider, b'{"inputs": [1.0]}', intake)
    assert raised.value.code == "missing_field"
    with pytest.raises(ElementError):
        read_strictly(wider, body.replace(b'"x"', b'"long"'), intake)
    monkeypatch.setattr("sigmoid_serve.http.openapi.PredictRequest", wider)
    shown = build_document(create_app(Settings()))
    schema = shown["components"]["schemas"]
    assert schema["PredictRequest"]["required"] == ["inputs", "note"]
    operation = copy.deepcopy(inference_operation(wider))
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"$ref": "#/components/schemas/PredictRequest"}
