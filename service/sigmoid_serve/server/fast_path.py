"""Answers short inference requests inside the protocol callbacks of uvicorn.

For a small request, most of an ASGI server's time goes into the scope, the task and the
objects that stand for it. A request to an inference route that is short and plain needs
none of them: it is read, put into the batch of all that arrived with it, and its
response is written, by the same functions as on the ASGI path.

It answers what succeeds. Anything else, from an unusual header to a wrong element, it
declines; the application then says what is wrong.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.engine.background import OFFLOAD_ABOVE_BYTES
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.context import Context, name_request
from sigmoid_serve.inference.operations import (
    Done,
    Match,
    Pending,
    Respond,
)
from sigmoid_serve.inference.request import InferenceRequest, Limits

# Names have at most 64 characters.
_MOST_TARGET_BYTES: Final = 2**8

_CACHED_TARGETS: Final = 64


class FastPath:
    """Answers short requests.

    Args:
        context: Of the application.

    Attributes:
        max_body_bytes: A longer body is declined.
        header_lines: That each response to a request without an origin has.
    """

    def __init__(self, context: Context) -> None:
        settings = context.settings
        self.max_body_bytes = min(settings.max_body_bytes, OFFLOAD_ABOVE_BYTES)
        self._registry = context.registry
        self._operations = context.operations
        self._match = lru_cache(_CACHED_TARGETS)(self._find)
        self._limits = Limits.of(settings)
        self._api_keys = context.api_keys
        self._admission = context.admission
        # It is named in every request, though nothing here takes long enough for it.
        self._background = context.background
        # The headers for pages of other origins are written on the ASGI path; that
        # they depend on the origin is said on both.
        self._knows_origins = bool(settings.cors_origins)
        self.header_lines = b"vary: Origin\r\n" if self._knows_origins else b""

    def match(self, target: bytes) -> Match | None:
        """Find the route of a request, if it is one that may be answered here.

        Args:
            target: Path and query, as in the request line.
        """
        return self._match(target) if len(target) <= _MOST_TARGET_BYTES else None

    def _find(self, target: bytes) -> Match | None:
        # A byte beyond ASCII is in no path of ours.
        return self._operations.match(target.decode("latin-1"))

    def accepts_headers(self, headers: Mapping[bytes, bytes], length: int) -> bool:
        """Tell whether a request may be one that is answered here, by its headers.

        Args:
            headers: By names in lower case.
            length: Of the body; 0 where it is not declared.
        """
        admission = self._admission
        if (
            length > self.max_body_bytes
            # The most elements that it may hold are fewer than its bytes.
            or admission.elements + length > admission.limit
            or b"content-encoding" in headers
            or (self._knows_origins and b"origin" in headers)
        ):
            return False
        if self._api_keys.are_set:
            try:
                self._api_keys.authorize(headers.get(b"authorization"), for_admin=False)
            except ServiceError:
                return False
        return True

    def handle(
        self,
        match: Match,
        headers: Mapping[bytes, bytes],
        body: bytes,
        state: RequestState,
        respond: Respond,
    ) -> Done | Pending | None:
        """Answer a request, at once or with the batch that it joins.

        Args:
            match: Its route.
            headers: By names in lower case.
            body: All of it.
            state: Of the request.
            respond: Called once, soon, where it is pending.

        Returns:
            None where it is declined.
        """
        admission, length = self._admission, len(body)
        if (
            length > self.max_body_bytes
            or admission.elements - state.elements + length > admission.limit
        ):
            return None
        state.request_id = name_request(headers.get(b"x-request-id"))
        state.route = match.operation.template
        try:
            request = InferenceRequest(
                body, headers, self._limits, state, self._background, _nothing
            )
            return match.operation.begin(request, self._registry, match.path, respond)
        except ServiceError:
            return None


def _nothing() -> None:
    pass
