"""What a protocol brings to the application; everything else is the native API's."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fastapi import APIRouter
from pydantic import BaseModel

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.inference.operations import Operation


class ErrorForm(NamedTuple):
    """How errors are told.

    Attributes:
        media_type: Of the body.
        model: The schema of the body.
        statuses: What takes the place of a status of the native API, where it differs.
        write: Makes the body, of an error, its status and the id of the request.
    """

    media_type: str
    model: type[BaseModel]
    statuses: Mapping[int, int]
    write: Callable[[ServiceError, int, str], bytes]


class Protocol(NamedTuple):
    """A protocol of another model server.

    Attributes:
        prefix: With which the paths of all its routes begin.
        routers: Its routes.
        operations: Those of inference, for the fast path.
        health_paths: Those that never need a key, and are answered on any connection.
        exposed_headers: Of its answers, that pages of other origins need.
        error_form: Of the errors under its prefix.
        models: That its routes name in `/openapi.json` and FastAPI does not find.
        row_request: Makes the body that asks a model about one row, for the examples.
    """

    prefix: str
    routers: Sequence[APIRouter]
    operations: Sequence[Operation]
    health_paths: Sequence[str]
    exposed_headers: Sequence[str]
    error_form: ErrorForm
    models: Sequence[type[BaseModel]]
    row_request: Callable[[Sequence[float]], Any]

    def is_of(self, path: str) -> bool:
        """Tell whether a path is one of its own."""
        return path == self.prefix or path.startswith(f"{self.prefix}/")
