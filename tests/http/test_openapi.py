"""The schema tells the truth: its examples work, and its models are what validates."""

import copy
import json
from typing import Annotated, Any

import httpx
import numpy as np
import pytest
from pydantic import Field, create_model

from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.errors import ElementError
from sigmoid_serve.http.openapi import build_document, inference_operation
from sigmoid_serve.inference.schemas import (
    PredictRequest,
    ValidationContext,
    read_quickly,
    read_strictly,
)


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


def test_every_route_is_documented(client: httpx.Client) -> None:
    assert set(documented(client)["paths"]) == {
        "/predict",
        "/models/{name}/predict",
        "/models/{name}/versions/{version}/predict",
        "/sigmoid",
        "/models",
        "/models/{name}",
        "/models/{name}/reload",
        "/limits",
        "/metrics",
        "/livez",
        "/readyz",
        "/startupz",
    }


def test_every_route_has_the_tag_of_its_group(client: httpx.Client) -> None:
    groups: dict[str, set[str]] = {}
    for path, operations in documented(client)["paths"].items():
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
    assert schemas["Numbers"]["anyOf"] == [
        {"type": "number"},
        {"type": "array", "items": {"$ref": "#/components/schemas/Numbers"}},
    ]


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
