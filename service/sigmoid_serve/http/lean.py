"""The short way to the inference routes.

FastAPI's way to an endpoint, through its middleware stack, router, dependencies and
response classes, costs several times as much as the inference of one row. The routes
that are asked all the time are therefore declared like all others, with their pydantic
models, so that the documentation is FastAPI's; but a POST to one of them is answered in
front of that machinery. What it would have done is done here: the id, the path and the
query, the errors, the headers of every answer. FastAPI reads the signature of such an
endpoint and never calls it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, get_type_hints

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from sigmoid_serve.admission.request_state import Ticket
from sigmoid_serve.errors import ElementError
from sigmoid_serve.http.bodies import send_reply
from sigmoid_serve.http.context import Context, answer_to_error, name_request
from sigmoid_serve.http.cors import Cors
from sigmoid_serve.http.error_handlers import query_fault
from sigmoid_serve.http.headers import read_fields
from sigmoid_serve.inference.request import Reply
from sigmoid_serve.monitoring.telemetry import OK
from sigmoid_serve.registry.registry import Repository, Version

# More than all parameters that there are take.
_MOST_QUERY_BYTES: Final = 2**10


class Call(Request):
    """A request on the short way; a `Request`, so that FastAPI knows what it is.

    Attributes:
        fields: The header, by names in lower case.
        ticket: In the queue; its times become the header `Server-Timing`.
    """

    def __init__(
        self, scope: Scope, receive: Receive, ticket: Ticket, repository: Repository
    ) -> None:
        # What Request's own constructor prepares beyond this is not used.
        self.scope = scope
        self._receive = receive
        self.fields = read_fields(scope["headers"])
        ticket.request_id = name_request(self.fields.get(b"x-request-id"))
        self.ticket = ticket
        self._repository = repository
        self._watch: asyncio.Task[None] | None = None

    def find(self, name: str, version: str | None = None) -> Version:
        """Find the model that is asked.

        Raises:
            ServiceError: See `sigmoid_serve.registry.registry`.
        """
        found = self._repository.find(name, version)
        self.ticket.model = found.name
        return found

    def watch(self) -> None:
        """Notice from now on, the body having been read, if the client goes away."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._notice())

    def end(self) -> None:
        """Leave the queue."""
        self.ticket.leave()
        if self._watch:
            self._watch.cancel()

    async def _notice(self) -> None:
        message = await self._receive()
        self.ticket.is_abandoned = message["type"] == "http.disconnect"


Endpoint = Callable[..., Awaitable[Reply]]


class _Route(NamedTuple):
    """A route that is answered here.

    Attributes:
        pattern: Of the path; its groups are the path parameters, all strings.
        endpoint: Takes the call, the path parameters, and the query if any.
        query: The model of the endpoint's parameter `query`, if it has one.
        defaults: The arguments from the query where it is empty.
        template: Of the path, as the documentation shows it.
    """

    template: str
    pattern: re.Pattern[str]
    endpoint: Endpoint
    query: type[BaseModel] | None
    defaults: dict[str, BaseModel]


class LeanFastAPI(FastAPI):
    """FastAPI, with a short way to some of its POST routes.

    Args:
        context: What the requests of this application have in common.
        options: Of FastAPI.
    """

    def __init__(self, context: Context, **options: Any) -> None:
        super().__init__(**options)
        self._context = context
        self._entrance: ASGIApp = self._dispatch
        if context.settings.cors_origins:
            self._entrance = Cors(
                self._dispatch, context, context.settings.cors_origins
            )
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
            lean = _Route(route.path, route.path_regex, route.endpoint, query, defaults)
            if route.param_convertors:
                self._lean_routes.append(lean)
            else:
                self._fixed_routes[route.path] = lean

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._entrance(scope, receive, send)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            route = self._fixed_routes.get(path)
            if route:
                await self._answer(route, {}, scope, receive, send)
                return
            for route in self._lean_routes:
                match = route.pattern.match(path)
                if match:
                    await self._answer(route, match.groupdict(), scope, receive, send)
                    return
        await super().__call__(scope, receive, send)

    async def _answer(
        self,
        route: _Route,
        path: dict[str, str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        context = self._context
        ticket = Ticket(context.queue)
        ticket.route = route.template
        call = Call(scope, receive, ticket, context.repository)
        headers = [(b"x-request-id", ticket.request_id.encode())]
        try:
            context.keys.check(call.fields.get(b"authorization"), for_admin=False)
            query = _query(route, scope) if scope["query_string"] else route.defaults
            reply = await route.endpoint(call, **path, **query)
        except Exception as error:
            response = answer_to_error(context, ticket, error)
            if response:
                headers.append((b"server-timing", ticket.header()))
                response.raw_headers += headers
                await response(scope, receive, send)
        else:
            headers.append((b"server-timing", ticket.header()))
            context.answered(ticket, 200, OK)
            # Its client may take its time to read it; `sigmoid_serve.server.unread`.
            ticket.leave()
            await send_reply(reply, headers, send)
        finally:
            call.end()


def _query(route: _Route, scope: Scope) -> dict[str, BaseModel]:
    if route.query is None:
        return {}
    length = len(scope["query_string"])
    if length > _MOST_QUERY_BYTES:
        raise ElementError(
            "unknown_field",
            pointer=None,
            expected="only query parameters that the API documentation lists",
            got=f"a query of {length} bytes",
        )
    parameters = dict(QueryParams(scope["query_string"]))
    try:
        return {"query": route.query.model_validate(parameters)}
    except ValidationError as error:
        raise query_fault(error.errors()) from None
