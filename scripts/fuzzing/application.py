"""The application, asked in this process: no sockets, no HTTP."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from starlette.types import ASGIApp, Message, Scope

from fuzzing.json_bodies import Model
from fuzzing.requests import Headers, Request
from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import Settings

# Low, so that bodies beyond the limits are short, and all work is.
MAX_BODY_BYTES: Final = 2**20
MAX_ELEMENTS: Final = 2**16

_CHUNK_BYTES = 2**16


class Answer(NamedTuple):
    """What the application sent.

    Attributes:
        status: Of HTTP.
        media_type: The header `Content-Type`.
        body: All pieces together.
    """

    status: int
    media_type: str
    body: bytes


def make_application() -> ASGIApp:
    """Make the real application, which serves the pretrained models."""
    return create_app(
        Settings(max_body_bytes=MAX_BODY_BYTES, max_elements=MAX_ELEMENTS)
    )


async def served_models(app: ASGIApp) -> list[Model]:
    """Ask the application for its models: the default one, and each by its name."""
    listed = json.loads((await _answer(app, "GET", "/models")).body)
    models = []
    for name in (served["name"] for served in listed["models"]):
        card = json.loads((await _answer(app, "GET", f"/models/{name}")).body)
        model = Model(
            f"/models/{name}/predict", card["features"], card["feature_names"]
        )
        models.append(model)
        if name == listed["default"]:
            models.append(model._replace(path="/predict"))
    return models


async def ask(app: ASGIApp, request: Request) -> Answer:
    """Send a request; its body comes in chunks, as from a socket."""
    return await _answer(
        app, "POST", request.path, request.query, request.headers, request.body
    )


async def _answer(
    app: ASGIApp,
    method: str,
    path: str,
    query: bytes = b"",
    headers: Headers = (),
    body: bytes = b"",
) -> Answer:
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }
    arriving = _chunks(body)
    sent: list[Message] = []

    async def receive() -> Message:
        for message in arriving:
            return message
        # The client stays, and waits for the answer.
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return _joined(sent)


def _chunks(body: bytes) -> Iterator[dict[str, Any]]:
    for start in range(0, max(1, len(body)), _CHUNK_BYTES):
        stop = start + _CHUNK_BYTES
        yield {
            "type": "http.request",
            "body": body[start:stop],
            "more_body": stop < len(body),
        }


def _joined(sent: Sequence[Message]) -> Answer:
    if not sent:
        raise ValueError("there was no answer")
    start, *rest = sent
    fields = dict(start["headers"])
    return Answer(
        status=start["status"],
        media_type=fields.get(b"content-type", b"").decode("latin-1"),
        body=b"".join(message.get("body", b"") for message in rest),
    )
