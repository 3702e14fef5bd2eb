"""The short way to the inference routes.

FastAPI's way to an endpoint, through its middleware stack, router, dependencies and
response classes, costs several times as much as the inference of one row. The routes
that are asked all the time are therefore declared like all others, with their pydantic
models, so that the documentation is FastAPI's; but a POST to one of them is answered in
front of that machinery. What it would have done is done here: the id, the path and the
query, the errors, the headers of every answer. FastAPI reads the signature of such an
endpoint and never calls it.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, get_type_hints

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from service.bodies import send_reply
from service.context import answer_to_failure, name_request
from service.error_handlers import problem, query_fault
from service.errors import ServiceError
from service.inference import Reply
from service.timing import Timings


class Call(Request):
    """A request on the short way; a `Request`, so that FastAPI knows what it is.

    Attributes:
        fields: The header, by names in lower case; of equal names the last.
        request_id: See `service.context`.
        timings: Become the header `Server-Timing`.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        # What Request's own constructor prepares beyond this is not used.
        self.scope = scope
        self._receive = receive
        self.fields: dict[bytes, bytes] = dict(scope["headers"])
        self.request_id = name_request(self.fields.get(b"x-request-id"))
        self.timings = Timings()


Endpoint = Callable[..., Awaitable[Reply]]


class _Route(NamedTuple):
    """A route that is answered here.

    Attributes:
        pattern: Of the path; its groups are the path parameters, all strings.
        endpoint: Takes the call, the path parameters, and the query if any.
        query: The model of the endpoint's parameter `query`, if it has one.
        defaults: The arguments from the query where it is empty.
    """

    pattern: re.Pattern[str]
    endpoint: Endpoint
    query: type[BaseModel] | None
    defaults: dict[str, BaseModel]


class LeanFastAPI(FastAPI):
    """FastAPI, with a short way to some of its POST routes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._fixed_routes: dict[str, _Route] = {}
        self._lean_routes: list[_Route] = []

    def include_lean_router(self, router: APIRouter) -> None:
        """Include a router whose POST routes take the short way.

        Their endpoints take a `Call`, path parameters that are strings, and may take a
        model of the query as `query`; they return a `Reply`.
        """
        self.include_router(router)
        for route in router.routes:
            assert isinstance(route, APIRoute)
            query = get_type_hints(route.endpoint).get("query")
            defaults = {"query": query()} if query else {}
            lean = _Route(route.path_regex, route.endpoint, query, defaults)
            if route.param_convertors:
                self._lean_routes.append(lean)
            else:
                self._fixed_routes[route.path] = lean

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["method"] == "POST":
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            route = self._fixed_routes.get(path)
            if route:
                await _answer(route, {}, scope, receive, send)
                return
            for route in self._lean_routes:
                match = route.pattern.match(path)
                if match:
                    await _answer(route, match.groupdict(), scope, receive, send)
                    return
        await super().__call__(scope, receive, send)


async def _answer(
    route: _Route, path: dict[str, str], scope: Scope, receive: Receive, send: Send
) -> None:
    call = Call(scope, receive)
    headers = [(b"x-request-id", call.request_id.encode())]
    try:
        query = _query(route, scope) if scope["query_string"] else route.defaults
        reply = await route.endpoint(call, **path, **query)
    except Exception as error:
        response = (
            problem(call.request_id, error)
            if isinstance(error, ServiceError)
            else answer_to_failure(call.request_id, error)
        )
        if response:
            headers.append((b"server-timing", call.timings.header()))
            response.raw_headers += headers
            await response(scope, receive, send)
        return
    headers.append((b"server-timing", call.timings.header()))
    await send_reply(reply, headers, send)


def _query(route: _Route, scope: Scope) -> dict[str, BaseModel]:
    if route.query is None:
        return {}
    parameters = dict(QueryParams(scope["query_string"]))
    try:
        return {"query": route.query.model_validate(parameters)}
    except ValidationError as error:
        raise query_fault(error.errors()) from None
