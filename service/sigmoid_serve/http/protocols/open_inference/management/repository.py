"""The model repository: what is there, and to load and unload it, as Triton has it.

Its changes are for admins where keys are set. Where none are, they are for everyone but
web pages, which a person has open and does not see through.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.errors import ElementError, ServiceError, shown
from sigmoid_serve.http.bodies import receive_body
from sigmoid_serve.http.context import Context, context_of
from sigmoid_serve.http.headers import combine_headers
from sigmoid_serve.http.openapi import operation_id
from sigmoid_serve.http.protocols.open_inference.errors import responses
from sigmoid_serve.http.protocols.open_inference.signature import (
    ELEMENTWISE,
    ELEMENTWISE_VERSION,
)
from sigmoid_serve.inference.media import JSON, request_encodings
from sigmoid_serve.json.outline import outline_strictly, outline_type_name
from sigmoid_serve.json.text import extend_pointer, no_check
from sigmoid_serve.registry.registry import ModelRegistry

# Far more than names of parameters take.
_MOST_BYTES: Final = 2**16

_KNOWN: Final = ("parameters", "ready")

State = Literal["READY", "UNAVAILABLE"]


class RepositoryEntry(BaseModel):
    """A version of a model, or a model that has none."""

    name: str
    version: Annotated[str, Field(description="Empty where it is the whole model.")]
    state: State
    reason: Annotated[str, Field(description="Why it is not ready; else empty.")]


class LoadedModel(BaseModel):
    """A model that serves what its files are now."""

    name: str
    load: Literal[True] = True


class UnloadedModel(BaseModel):
    """A model that serves no more."""

    name: str
    unload: Literal[True] = True


router = APIRouter(
    prefix="/v2/repository",
    tags=["open inference protocol"],
    generate_unique_id_function=operation_id,
    responses=responses(400, 408, 413, 415, 429, 431, 500, 503),
)


def _body(**properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties}
    return {"requestBody": {"content": {JSON: {"schema": schema}}}}


_INDEX: Final = _body(ready={"type": ["boolean", "null"]})
_CHANGE: Final = _body(
    parameters={
        "type": ["object", "null"],
        "propertyNames": {"not": {"pattern": "^(config$|file:)"}},
    }
)
_REFUSED: Final = responses(403, 404)


@router.post("/index", openapi_extra=_INDEX)
async def repository_index(request: Request) -> list[RepositoryEntry]:
    """List all versions that are served, that were unloaded and that cannot be served.

    Of a body that says `"ready": true`, only what is ready.
    """
    document = await _read(request)
    only_ready = document.get("ready")
    if not isinstance(only_ready, bool | None):
        raise _field_error("/ready", "a boolean", outline_type_name(only_ready))
    entries = _entries(context_of(request).registry)
    return [each for each in entries if each.state == "READY" or not only_ready]


@router.post("/models/{name}/load", openapi_extra=_CHANGE, responses=_REFUSED)
async def load_model(request: Request, name: str) -> LoadedModel:
    """Load the checkpoints of a model in every worker, or in none.

    One that serves already is reloaded; if that fails, the running version goes on
    serving.
    """
    context = await _admit(request, name)
    await context.reload(name)
    return LoadedModel(name=name)


@router.post("/models/{name}/unload", openapi_extra=_CHANGE, responses=_REFUSED)
async def unload_model(request: Request, name: str) -> UnloadedModel:
    """Serve a model no more in any worker, until it is loaded again by its name.

    The last model that is served cannot be unloaded.
    """
    context = await _admit(request, name)
    await context.unload(name)
    return UnloadedModel(name=name)


def _entries(registry: ModelRegistry) -> list[RepositoryEntry]:
    """List all versions, by the names of their models."""
    found: dict[tuple[str, str], tuple[State, str]] = {
        (name, number): ("UNAVAILABLE", version.fault)
        if version.fault
        else ("READY", "")
        for name, versions in registry.models.items()
        for number, version in versions.items()
    }
    # What serves may have newer bytes that cannot, and so may what was unloaded.
    for each in registry.passed_over:
        place = each.name, each.version or ""
        found.setdefault(place, ("UNAVAILABLE", each.reason))
    for name, numbers in registry.unloaded.items():
        for number in numbers:
            found.setdefault((name, number), ("UNAVAILABLE", "unloaded"))
    found[ELEMENTWISE, ELEMENTWISE_VERSION] = "READY", ""
    return [
        RepositoryEntry(
            name=shown(name), version=shown(number), state=state, reason=reason
        )
        for (name, number), (state, reason) in sorted(
            found.items(), key=lambda entry: entry[0][0]
        )
    ]


async def _admit(request: Request, name: str) -> Context:
    """Let a request for a change in, once its body is read, or not."""
    context = context_of(request)
    headers = combine_headers(request.scope["headers"])
    if context.api_keys.are_set:
        context.api_keys.authorize(headers.get(b"authorization"), for_admin=True)
    elif b"origin" in headers:
        raise ServiceError(
            "not_admin",
            "expected a request without the header Origin, got one from a web page; "
            "pages may change models only with an admin's key (SIGMOID_API_KEYS_FILE)",
            expected="no header Origin",
            got="one",
        )
    _check_parameters((await _read(request)).get("parameters"))
    if name == ELEMENTWISE:
        raise ServiceError(
            "malformed_request",
            f"model {ELEMENTWISE} has no files; it is always served, and is neither "
            "loaded nor unloaded",
        )
    if context.readiness.is_draining:
        raise ServiceError("draining", "this process is shutting down; ask another")
    return context


async def _read(request: Request) -> Mapping[str, Any]:
    """Read the body: nothing, or the fields of an object, whatever media type it has.

    Raises:
        ServiceError: `malformed_json`, `body_too_large` or `unsupported_media_type`.
    """
    headers = combine_headers(request.scope["headers"])
    if request_encodings(headers.get(b"content-encoding")):
        raise ServiceError(
            "unsupported_media_type",
            "expected a body without Content-Encoding, as it is short, got one that "
            "is compressed",
            expected="no Content-Encoding",
            got="a compressed body",
        )
    state: RequestState = request.state.request_state
    settings = context_of(request).settings
    most = min(_MOST_BYTES, settings.max_body_bytes)
    try:
        body = await receive_body(
            request.receive, headers, most, settings.body_seconds, state
        )
    except ServiceError as error:
        if error.code != "body_too_large":
            raise
        # The limit is not that of a setting; and whoever sends files should know.
        raise ServiceError(
            "body_too_large",
            f"expected at most {most} bytes, got more; a model's files are loaded "
            "from where the server has them, not from a request",
            expected=f"at most {most} bytes",
            got="more",
        ) from None
    return outline_strictly(body, "", _KNOWN, no_check) if body else {}


def _check_parameters(parameters: Any) -> None:
    """Refuse what says how, or with which files, to load a model.

    Raises:
        ElementError: `malformed_request`.
    """
    pointer = "/parameters"
    if not isinstance(parameters, dict | None):
        raise _field_error(pointer, "an object", outline_type_name(parameters))
    for name in parameters or ():
        if name == "config" or name.startswith("file:"):
            raise _field_error(
                extend_pointer(pointer, name),
                "neither config nor files, as a model is what the server's files say",
                shown(name),
            )


def _field_error(pointer: str, expected: str, got: str) -> ElementError:
    return ElementError(
        "malformed_request", pointer=pointer, expected=expected, got=got
    )
