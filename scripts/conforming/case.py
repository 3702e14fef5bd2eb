"""A case: what is sent, what the specification asks, and what must be answered."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import httpx

Check = Callable[[httpx.Response], bool]
"""Says whether an answer is right, beside its status."""

JSON_LENGTH: Final = "Inference-Header-Content-Length"


class Request(NamedTuple):
    """A request; its headers are those that are named, and no content type besides."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = {}


class Case(NamedTuple):
    """A request and its answer.

    Attributes:
        name: Of the case; no other has it.
        source: Where others test it: a file of theirs, or a document of Triton's.
        sent: What is sent, in words.
        asked: What the specification asks, in words.
        request: What is sent.
        status: That must be answered.
        check: That the answer must pass, too.
        deviation: Key of `deviations.REASONS` where we answer otherwise.
        before: Sent before it; each must be answered with 200.
        after: Sent after it, to leave the server as it was; likewise.
    """

    name: str
    source: str
    sent: str
    asked: str
    request: Request
    status: int
    check: Check
    deviation: str = ""
    before: tuple[Request, ...] = ()
    after: tuple[Request, ...] = ()


def get(path: str, **headers: str) -> Request:
    """Make a GET request."""
    return Request("GET", path, headers=named(headers))


def post(path: str, body: Any = b"", **headers: str) -> Request:
    """Make a POST request; a body that is no bytes is written as JSON."""
    written = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request("POST", path, written, named(headers))


def named(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers whose names were written as Python's are."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


def infer_path(model: str) -> str:
    """Return the path for inference by the version that the server chooses."""
    return f"/v2/models/{model}/infer"


def tensor(shape: list[int], datatype: str, data: Any, **more: Any) -> dict[str, Any]:
    """Return a tensor that has its data as JSON."""
    return {
        "name": "inputs",
        "shape": shape,
        "datatype": datatype,
        **more,
        **({} if data is None else {"data": data}),
    }


def infer(tensor: dict[str, Any], model: str = "sigmoid", **more: Any) -> Request:
    """Make a request for inference whose only tensor is JSON.

    Args:
        tensor: Its input.
        model: That is asked.
        more: Members of the request beside `inputs`.
    """
    return post(infer_path(model), {"inputs": [tensor], **more})


def framed(
    head: Mapping[str, Any],
    data: bytes,
    model: str = "sigmoid",
    length: int | str | None = None,
    **headers: str,
) -> Request:
    """Make a request of JSON and the bytes after it.

    Args:
        head: Its JSON.
        data: Bytes of its tensors.
        model: That is asked.
        length: Said of the JSON; by default what it is.
        headers: Others.
    """
    written = json.dumps(head).encode()
    said = str(len(written) if length is None else length)
    return Request(
        "POST", infer_path(model), written + data, {JSON_LENGTH: said, **named(headers)}
    )


def binary(
    shape: list[int],
    datatype: str,
    data: bytes,
    model: str = "sigmoid",
    size: int | None = None,
    **more: Any,
) -> Request:
    """Make a request for inference whose only tensor is binary.

    Args:
        shape: Of the tensor.
        datatype: Of the tensor.
        data: Its bytes.
        model: That is asked.
        size: Said of the bytes; by default what it is.
        more: Members of the request beside `inputs`.
    """
    said = {"binary_data_size": len(data) if size is None else size}
    head = {"inputs": [tensor(shape, datatype, None, parameters=said)], **more}
    return framed(head, data, model)


REPOSITORY: Final = "/v2/repository/models"
INDEX: Final = "/v2/repository/index"
LOAD: Final = post(f"{REPOSITORY}/digits/load")
UNLOAD: Final = post(f"{REPOSITORY}/digits/unload")
