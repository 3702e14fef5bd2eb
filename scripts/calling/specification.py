"""Answers of a server, held against an OpenAPI file of the Open Inference Protocol.

What the file has no words for, the extensions of the protocol, is not asked for.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import jsonschema_rs
import yaml

from calling.environments import ClientError

MODELS: Final = {"breast-cancer": 30, "digits": 64, "sigmoid": 5}
"""What is asked, and of how many numbers."""

_JSON: Final = "application/json"
# What an error is held against whose status the file does not have.
_ANY_ERROR: Final = "400"


class Asked(NamedTuple):
    """A request.

    Attributes:
        method: Of HTTP, in capitals.
        path: As it is asked.
        template: As it is in the file.
        told: What is special about it.
        body: What is sent.
        status: What is right to come.
    """

    method: str
    path: str
    template: str
    told: str
    body: bytes | None
    status: int


class Specification:
    """An OpenAPI file, version 3.1.

    Args:
        path: Of the file, in YAML or JSON.

    Raises:
        ClientError: It is no such file.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._document = yaml.safe_load(path.read_text(encoding="utf-8"))
            self._paths: Mapping[str, Any] = self._document["paths"]
        except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
            raise ClientError(f"{path} is no OpenAPI file: {error}") from None

    def requests(self) -> Iterator[Asked]:
        """Make requests to all its paths, right ones and wrong ones."""
        for template, item in self._paths.items():
            for method in ("get", "post"):
                if method in item:
                    yield from _requests(method.upper(), template)

    def check(self, asked: Asked, response: httpx.Response) -> str:
        """Hold an answer, and the request where it was right, against the file.

        Returns:
            What is to be said of it.

        Raises:
            ClientError: It is not as the file has it.
        """
        operation = self._paths[asked.template][asked.method.lower()]
        status = str(response.status_code)
        if response.status_code != asked.status:
            raise ClientError(
                f"expected {asked.status}, got {status}: {response.text[:300]}"
            )
        if asked.status == 200 and "requestBody" in operation and asked.body:
            self._validate(operation["requestBody"], asked.body, "the request")
        is_defined = status in operation["responses"]
        defined = operation["responses"].get(status if is_defined else _ANY_ERROR)
        if defined and "content" in defined:
            media_type = response.headers.get("Content-Type")
            if media_type != _JSON:
                raise ClientError(f"expected {_JSON}, got {media_type}")
            self._validate(defined, response.content, "the answer")
        return status if is_defined else f"{status}, which it does not define"

    def _validate(self, defined: Mapping[str, Any], body: bytes, what: str) -> None:
        schema = {
            **defined["content"][_JSON]["schema"],
            "components": self._document["components"],
        }
        validator = jsonschema_rs.Draft202012Validator(schema)
        for error in validator.iter_errors(json.loads(body)):
            raise ClientError(f"{what} is not as it should be: {str(error)[:1000]}")


def hold(url: str, specification: Specification) -> bool:
    """Ask all, and print a line for each request; return whether all went well."""
    is_good = True
    with httpx.Client(base_url=url, timeout=60) as client:
        for asked in specification.requests():
            told = f"{asked.method} {asked.path}{asked.told and f', {asked.told}'}"
            try:
                response = client.request(asked.method, asked.path, content=asked.body)
                said = specification.check(asked, response)
                print(f"ok      {told}: {said}", flush=True)
            except ClientError as error:
                print(f"FAILED  {told}: {error}", flush=True)
                is_good = False
    return is_good


def _requests(method: str, template: str) -> Iterator[Asked]:
    parameters = re.findall(r"{(\w+)}", template)
    if not parameters:
        yield Asked(method, template, template, "", None, 200)
        return
    for model, count in {**MODELS, "none": 5}.items():
        for version in ("1", "9") if "MODEL_VERSION" in parameters else ("1",):
            path = template.format(MODEL_NAME=model, MODEL_VERSION=version)
            is_there = model in MODELS and version == "1"
            status = 200 if is_there else 404
            if method == "GET":
                yield Asked(method, path, template, "", None, status)
                continue
            right = {"flat data": _tensor([0.5] * count, [1, count])}
            if is_there:
                right["nested data"] = _tensor([[0.5] * count] * 2, [2, count])
                right["no rows"] = _tensor([], [0, count])
            for told, tensor in right.items():
                body = json.dumps({"inputs": [tensor]}).encode()
                yield Asked(method, path, template, told, body, status)
            if is_there:
                for told, body in _special(model, count).items():
                    yield Asked(method, path, template, told, body, 200)
                for told, body in _wrong(count).items():
                    yield Asked(method, path, template, told, body, 400)


def _tensor(data: list[Any], shape: list[int], datatype: str = "FP32") -> Any:
    return {"name": "inputs", "shape": shape, "datatype": datatype, "data": data}


def _special(model: str, count: int) -> dict[str, bytes]:
    """Make requests that have all fields, and all datatypes."""
    name = "outputs" if model == "sigmoid" else "logits"
    full = {
        "id": "r-7",
        "parameters": {"timeout": 10_000_000, "note": "x"},
        "inputs": [{**_tensor([0.5] * count, [1, count]), "parameters": {}}],
        "outputs": [{"name": name, "parameters": {"binary_data": False}}],
        "more": None,
    }
    datatypes = ("FP16", "BF16", "FP64", "INT8", "INT64", "UINT8", "UINT64")
    bodies = {
        datatype: {"inputs": [_tensor([1] * count, [1, count], datatype)]}
        for datatype in datatypes
    }
    return {
        told: json.dumps(body).encode()
        for told, body in {"all fields": full, **bodies}.items()
    }


def _wrong(count: int) -> dict[str, bytes]:
    """Make requests with an error."""
    tensor = _tensor([0.5] * count, [1, count])
    documents: dict[str, Any] = {
        "no inputs": {},
        "an unknown input": {"inputs": [{**tensor, "name": "x"}]},
        "an unknown output": {"inputs": [tensor], "outputs": [{"name": "x"}]},
        "an unknown datatype": {"inputs": [{**tensor, "datatype": "FP31"}]},
        "another count": {"inputs": [{**tensor, "shape": [2, count]}]},
        "another nesting": {"inputs": [{**tensor, "data": [[0.5], [0.5]]}]},
        "a text": {"inputs": [{**tensor, "data": ["x"] * count}]},
        "null": {"inputs": [{**tensor, "data": [None] * count}]},
        "an id that is a number": {"id": 7, "inputs": [tensor]},
    }
    bodies = {told: json.dumps(body).encode() for told, body in documents.items()}
    return {**bodies, "no JSON": b"{", "nothing": b""}
