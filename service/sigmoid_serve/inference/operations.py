"""Inference routes: how a short request to each is read, and its response written.

The fast path takes a request by this table, without the web framework. A route that
stands in it is also a route of FastAPI's, which takes what the fast path declines. A
protocol brings rows of its own: a template, and what `asking_model` or
`asking_elementwise` makes of how it reads a request.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from sigmoid_serve.engine.engine import Prediction, RowError
from sigmoid_serve.engine.jobs import Outcome
from sigmoid_serve.inference import predict, sigmoid
from sigmoid_serve.inference.request import InferenceRequest, InferenceResponse
from sigmoid_serve.registry.registry import ModelRegistry

Respond = Callable[[InferenceResponse | Exception], None]
"""Called once with the response or an error."""


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


def asking_model(read: predict.QuickRead) -> Begin:
    """Make what answers short requests to a model.

    Args:
        read: From a request to rows, and how the response to them is written.
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
        state.model, state.model_version = version.name, version.number
        batcher = version.batcher
        question = None if version.fault else read(request, version)
        if question is None:
            return None
        features, write = question
        if not predict.is_soon_written(features, version):
            return None
        state.reserve(features.values.size)
        state.start_deadline()

        def done(outcome: Outcome) -> None:
            response: InferenceResponse | Exception
            if isinstance(outcome, Prediction):
                # Others of the batch wait behind this call, whatever happens in it.
                try:
                    response = write(outcome)
                except Exception as error:
                    response = error
            else:
                if isinstance(outcome, RowError):
                    outcome.pointer = features.pointer(*outcome.index)
                response = outcome
            respond(response)

        is_inline = batcher.enqueue_inline(features.rows(), state, done)
        return batcher if is_inline else None

    return begin


def asking_elementwise(read: sigmoid.QuickRead) -> Begin:
    """Make what answers short requests for the sigmoid of tensors.

    Args:
        read: From a request to tensors, and how the response is written.
    """

    def begin(
        request: InferenceRequest,
        _registry: ModelRegistry,
        _path: Mapping[str, str],
        _respond: Respond,
    ) -> Done | None:
        response = sigmoid.answer_quickly(request, read)
        return response and Done(response)

    return begin


_begin_predict = asking_model(predict.read_native_quickly)

OPERATIONS = (
    Operation("/predict", _begin_predict),
    Operation("/sigmoid", asking_elementwise(sigmoid.read_native_quickly)),
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


class OperationTable:
    """The routes of inference of an application.

    Args:
        operations: Of two that a path leads to, the first is meant.
    """

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._patterns = [(each, _pattern(each.template)) for each in operations]

    def match(self, path: str) -> Match | None:
        """Find the route that a path leads to, if it is one of inference."""
        for operation, pattern in self._patterns:
            found = pattern.fullmatch(path)
            if found:
                return Match(operation, found.groupdict())
        return None


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(template)))
