"""The shortest way: inference that is over before a request would have become a task.

For a small request, most of an ASGI server's time goes into the objects and tasks that
stand for it. A request to an inference route whose body is short, and whose model is
light, needs none of them: once it has been read it is judged, it joins the batch of all
that arrived with it, and its answer is written. This is that way, from the bytes of the
request to the reply, with the same functions as every other way.

It answers what succeeds. Anything else, from a strange header to a wrong element, it
leaves alone, and the request takes the usual way, which says what is wrong.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from sigmoid_serve.admission.request_state import Ticket
from sigmoid_serve.engine.background import SHORT_BYTES
from sigmoid_serve.engine.batching import Outcome
from sigmoid_serve.engine.engine import Answer, RowError
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.context import Context, name_request
from sigmoid_serve.inference.media import answer_media, request_media
from sigmoid_serve.inference.predict import (
    is_soon_written,
    point_at,
    predicted,
    quick_features,
)
from sigmoid_serve.inference.request import Exchange, Limits, Reply
from sigmoid_serve.inference.sigmoid import quick_sigmoid
from sigmoid_serve.registry.registry import Version

_PREDICT = re.compile(rb"(?:/models/([A-Za-z0-9._-]{1,64}))?/predict")
_SIGMOID = b"/sigmoid"

Respond = Callable[[Reply | Exception], None]
"""Called with the reply or an error."""


class Shortcut:
    """Answers short requests.

    Args:
        context: Of the application. Its worker is named in every exchange, though
            nothing here takes long enough for it.
    """

    def __init__(self, context: Context) -> None:
        settings = context.settings
        self._repository = context.repository
        self._limits = Limits.of(settings)
        self._keys = context.keys
        self._queue = context.queue
        self._worker = context.worker
        # The headers for pages of other origins are written on the usual way.
        self._knows_origins = bool(settings.cors_origins)
        self._max_body_bytes = min(settings.max_body_bytes, SHORT_BYTES)

    def leads_to(self, target: bytes) -> bool:
        """Tell whether a request's target may be one that is answered here."""
        return target == _SIGMOID or _model(target) is not None

    def lets_in(self, fields: Mapping[bytes, bytes], length: int) -> bool:
        """Tell whether a request may be one that is answered here, by its header.

        Args:
            fields: The header, by names in lower case.
            length: Of the body.
        """
        queue = self._queue
        if (
            length > self._max_body_bytes
            # The most elements that it may hold are fewer than its bytes.
            or queue.elements + length > queue.limit
            or b"content-encoding" in fields
            or (self._knows_origins and b"origin" in fields)
        ):
            return False
        if self._keys.are_set:
            try:
                self._keys.check(fields.get(b"authorization"), for_admin=False)
            except ServiceError:
                return False
        return True

    def take(
        self,
        target: bytes,
        fields: Mapping[bytes, bytes],
        body: bytes,
        ticket: Ticket,
        respond: Respond,
    ) -> Callable[[], None] | None:
        """Answer a request, at once or with the batch that it joins.

        Args:
            target: Path and query, as in the request line.
            fields: The header, by names in lower case.
            body: All of it.
            ticket: Of the request.
            respond: Called once, now or soon.

        Returns:
            What makes the answer come now; None where this is not the way to go.
        """
        ticket.request_id = name_request(fields.get(b"x-request-id"))
        try:
            exchange = Exchange(
                body,
                request_media(fields.get(b"content-type")),
                answer_media(fields.get(b"accept")),
                self._limits,
                ticket,
                self._worker,
                _nothing,
            )
            if target == _SIGMOID:
                ticket.route = "/sigmoid"
                reply = quick_sigmoid(exchange)
                if reply is None:
                    return None
                respond(reply)
                return _nothing
            version = self._version(target, ticket)
            features = quick_features(exchange, version)
        except ServiceError:
            return None
        if features is None or not is_soon_written(features, version):
            return None
        ticket.settle(features.values.size)
        ticket.arrived()

        def done(outcome: Outcome) -> None:
            reply: Reply | Exception
            if isinstance(outcome, Answer):
                # Others of the batch wait behind this call, whatever happens in it.
                try:
                    reply = predicted(
                        exchange, version, "probabilities", features, outcome
                    )
                except Exception as error:
                    reply = error
            else:
                if isinstance(outcome, RowError):
                    point_at(outcome, exchange, features)
                reply = outcome
            respond(reply)

        batcher = version.batcher
        return batcher.flush if batcher.join(features.rows(), ticket, done) else None

    def _version(self, target: bytes, ticket: Ticket) -> Version:
        name = _model(target)
        version = self._repository.find(name or self._repository.default)
        if version.fault:
            raise ServiceError("not_ready", version.fault)
        ticket.route = "/models/{name}/predict" if name else "/predict"
        ticket.model = version.name
        return version


@lru_cache(64)
def _model(target: bytes) -> str | None:
    """Return a model's name, or an empty one for the default model."""
    match = _PREDICT.fullmatch(target)
    return match and (match[1] or b"").decode()


def _nothing() -> None:
    pass
