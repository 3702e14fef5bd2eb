"""Asks the application as a client would, in process and without a trace.

Nothing is counted or logged, no key is asked for, and no place in the queue is taken.
"""

import asyncio
from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final, NamedTuple

import orjson
from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.types import Message

from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.authentication import ApiKeys
from sigmoid_serve.http.context import Context
from sigmoid_serve.http.error_handlers import NATIVE, error_response
from sigmoid_serve.http.protocols.protocol import ErrorForm
from sigmoid_serve.inference.media import JSON

REQUEST_ID: Final = "example"
"""Stands in every problem of the examples."""

# However busy the server is, the documentation waits for its examples.
_SECONDS: Final = 60.0

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class Answered(NamedTuple):
    """An answer.

    Attributes:
        status: Of HTTP.
        media_type: Without its parameters.
        body: All of its bytes.
    """

    status: int
    media_type: str
    body: bytes

    @property
    def value(self) -> Any:
        """What the body says: of JSON the document, else the text."""
        is_json = self.media_type.endswith("json")
        return orjson.loads(self.body) if is_json else self.body.decode()


class NoKeys(ApiKeys):
    """Lets everyone in, as the examples show what is behind the door."""

    def authorize(self, authorization: bytes | None, *, for_admin: bool) -> None:
        """Let a request in."""


def aside(context: Context) -> Context:
    """Make a context like that of the requests, with a queue of its own and no keys."""
    settings = context.settings
    admission = AdmissionLimit(
        settings.max_queue_elements, settings.max_elements, _SECONDS
    )
    return context._replace(admission=admission, api_keys=NoKeys(None))


async def ask(
    app: FastAPI,
    context: Context,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] = _NONE,
) -> Answered:
    """Ask a route.

    Args:
        app: Has the routes.
        context: What they see; see `aside`.
        method: Of HTTP.
        path: With its parameters filled in.
        body: Of the request.
        headers: Of the request, by names in lower case.
    """
    state = RequestState(context.admission)
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(n.encode(), v.encode()) for n, v in headers.items()],
        "app": SimpleNamespace(state=SimpleNamespace(context=context)),
        "state": {"request_state": state, "query": b""},
    }
    sent: list[Message] = []
    coming = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if coming:
            return coming.pop()
        await asyncio.Event().wait()  # nobody goes away
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    # Between two of them others have their turn.
    await asyncio.sleep(0)
    try:
        await AsyncExitStackMiddleware(app.router)(scope, receive, send)
    except ServiceError as error:
        return problem_of(error, context.error_form(path))
    finally:
        state.release()
    media = dict(sent[0]["headers"]).get(b"content-type", JSON.encode()).decode()
    body = b"".join(message["body"] for message in sent[1:])
    return Answered(sent[0]["status"], media.partition(";")[0], body)


def problem_of(error: ServiceError, form: ErrorForm = NATIVE) -> Answered:
    """Answer to an error as the server does."""
    response = error_response(REQUEST_ID, error, form)
    return Answered(
        response.status_code, response.media_type or "", bytes(response.body)
    )
