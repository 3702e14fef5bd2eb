"""Inference routes: how a short request to each is read, and its response written.

The fast path takes a request by this table, without the web framework. A route that
stands in it is also a route of FastAPI's, which takes what the fast path declines. A
protocol brings rows of its own: a template, and what `predicting` makes of its two
functions.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from sigmoid_serve.engine.engine import Prediction, RowError
from sigmoid_serve.engine.jobs import Outcome
from sigmoid_serve.inference.predict import (
    is_soon_written,
    point_at,
    quick_features,
    write_prediction,
)
from sigmoid_serve.inference.request import InferenceRequest, InferenceResponse
from sigmoid_serve.inference.sigmoid import quick_sigmoid
from sigmoid_serve.payload.tensors import Features
from sigmoid_serve.registry.registry import ModelRegistry, ModelVersion

Respond = Callable[[InferenceResponse | Exception], None]
"""Called once with the response or an error."""

Read = Callable[[InferenceRequest, ModelVersion], Features | None]
"""Reads rows from the body; None where that takes long, or something may be wrong."""

Write = Callable[
    [InferenceRequest, ModelVersion, Features, Prediction], InferenceResponse
]
"""Writes the response to rows."""


class Done(NamedTuple):
    """A request that has its response."""

    response: InferenceResponse


class Pending(Protocol):
    """A batch with the rows of a request, computed soon; a `Batcher` is one."""

    def flush(self) -> None:
        """Compute it now."""


Begin = Callable[
    [InferenceRequest, ModelRegistry, Mapping[str, str], Respond],
    Done | Pending | None,
]
"""Begins to answer a request; None where it does not.

Takes the request, the models, the parameters of the path, and what is called with the
response if that comes later. May raise a `ServiceError`.
"""


class Operation(NamedTuple):
    """A route of inference.

    Attributes:
        template: Of its path, as the documentation shows it.
        begin: Answers a short request to it.
    """

    template: str
    begin: Begin


def predicting(read: Read, write: Write) -> Begin:
    """Make what answers short requests to a model.

    Args:
        read: From the bytes of a body to rows.
        write: From what the model says of them to the bytes of a response.
    """

    def begin(
        request: InferenceRequest,
        registry: ModelRegistry,
        path: Mapping[str, str],
        respond: Respond,
    ) -> Pending | None:
        state = request.state
        name = path.get("name", registry.default)
        version = registry.find(name, path.get("version"))
        state.model = version.name
        state.model_version = version.number
        batcher = version.batcher
        features = None if version.fault else read(request, version)
        if features is None or not is_soon_written(features, version):
            return None
        state.reserve(features.values.size)
        state.start_deadline()

        def done(outcome: Outcome) -> None:
            response: InferenceResponse | Exception
            if isinstance(outcome, Prediction):
                # Others of the batch wait behind this call, whatever happens in it.
                try:
                    response = write(request, version, features, outcome)
                except Exception as error:
                    response = error
            else:
                if isinstance(outcome, RowError):
                    point_at(outcome, request, features)
                response = outcome
            respond(response)

        is_inline = batcher.enqueue_inline(features.rows(), state, done)
        return batcher if is_inline else None

    return begin


def _begin_sigmoid(
    request: InferenceRequest,
    _registry: ModelRegistry,
    _path: Mapping[str, str],
    _respond: Respond,
) -> Done | None:
    response = quick_sigmoid(request)
    return response and Done(response)


_begin_predict = predicting(quick_features, write_prediction)

OPERATIONS = (
    Operation("/predict", _begin_predict),
    Operation("/sigmoid", _begin_sigmoid),
    Operation("/models/{name}/predict", _begin_predict),
    Operation("/models/{name}/versions/{version}/predict", _begin_predict),
)


class Match(NamedTuple):
    """A route of inference that a path leads to.

    Attributes:
        operation: The route.
        path: Its parameters.
    """

    operation: Operation
    path: Mapping[str, str]


def match_operation(path: str) -> Match | None:
    """Find the route that a path leads to, if it is one of inference."""
    for operation, pattern in _PATTERNS:
        found = pattern.fullmatch(path)
        if found:
            return Match(operation, found.groupdict())
    return None


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template)))


_PATTERNS = [(each, _pattern(each.template)) for each in OPERATIONS]
