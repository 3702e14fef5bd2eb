"""Examples of errors: requests that are not right, and the problems that they get."""

from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Any, Final, NamedTuple

from fastapi import FastAPI

from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.admission.stages import QUEUE
from sigmoid_serve.engine.device import as_memory_error
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.authentication import ApiKeys, not_admin
from sigmoid_serve.http.context import Context
from sigmoid_serve.http.examples.asking import Answered, ask, problem_of
from sigmoid_serve.inference.media import NPY
from sigmoid_serve.registry.readiness import Readiness
from sigmoid_serve.registry.registry import ModelRegistry, ModelVersion
from sigmoid_serve.registry.reloading import (
    ReloadError,
    find_contents,
    reload_service_error,
)
from sigmoid_serve.repository.model_repository import ScanResult

NO_MODEL: Final = "no-such-model"
NO_VERSION: Final = "0"
UNKNOWN_KEY: Final = "unknown-key"
SOME_BODY: Final = b'{"inputs": [1, 2]}'


class Fault(NamedTuple):
    """A request that is not right.

    Attributes:
        what: What it is, for people.
        body: Of the request.
        headers: Of the request, by names in lower case.
    """

    what: str
    body: bytes
    headers: Mapping[str, str]


class Problem(NamedTuple):
    """An example of an error.

    Attributes:
        what: It is the answer to.
        answered: The answer.
    """

    what: str
    answered: Answered


def _body(text: str, **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = "".join(f" with `{name.title()}: {value}`" for name, value in named.items())
    return Fault(f"`{text}`{sent}", text.encode(), named)


_OF_BOTH: Final = (
    _body('{"inputs": [1, 2,]}'),
    _body('{"inputs": [1, 2]}', accept="text/html"),
    _body("1,2", content_type="text/csv"),
    _body('{"inputs": [[1, 2], [3]]}'),
    _body('{"inputs": [1, "2"]}'),
    _body('{"inputs": [1, 1e999]}'),
    _body('{"input": [1, 2]}'),
    _body("{}"),
    _body("1,2", content_type=NPY),
)

_PREDICT: Final = (
    *_OF_BOTH,
    _body('{"inputs": [1, 2, 3]}'),
    _body('{"inputs": 1}'),
)

_SIGMOID: Final = (
    *_OF_BOTH,
    _body('{"inputs": [1, 2], "dtype": "int8"}'),
    Fault("a tensor of rank 33", b'{"inputs": %s1%s}' % (b"[" * 33, b"]" * 33), {}),
)


def faults(path: str, max_body_bytes: int) -> list[Fault]:
    """List requests to a route of inference that are not right.

    Args:
        path: Of the route.
        max_body_bytes: See `sigmoid_serve.configuration.settings`.
    """
    length = max_body_bytes + 1
    # Its header is enough to refuse it.
    header = {"content-length": str(length)}
    too_large = Fault(f"a body of {length} bytes", b"", header)
    return [*(_SIGMOID if path == "/sigmoid" else _PREDICT), too_large]


async def inference_problems(
    app: FastAPI, context: Context, path: str
) -> list[Problem]:
    """Ask a route of inference what it answers to every fault.

    Args:
        app: Has the routes.
        context: See `asking.aside`.
        path: Of the route, with its parameters filled in.
    """
    problems = [
        Problem(
            fault.what, await ask(app, context, "POST", path, fault.body, fault.headers)
        )
        for fault in faults(path, context.settings.max_body_bytes)
    ]
    full = await ask(app, _full(context), "POST", path, SOME_BODY)
    problems.append(Problem("a request while too many others wait", full))
    if path != "/sigmoid":
        problems += await _loading_problems(app, context, "POST", path)
    no_memory = as_memory_error(MemoryError())
    assert no_memory
    problems += [
        Problem("a request for which no memory is left", problem_of(no_memory)),
        Problem("a request that waited for too long", problem_of(_late(context))),
    ]
    return problems


async def model_problems(
    app: FastAPI, context: Context, method: str, template: str, shown: ModelVersion
) -> list[Problem]:
    """Ask for a model that is not there, for a version, and for one too early.

    Args:
        app: Has the routes.
        context: See `asking.aside`.
        method: Of HTTP.
        template: Of the path.
        shown: The model that the examples show first.
    """
    body = SOME_BODY if method == "POST" else b""
    path = template.format(name=NO_MODEL, version=shown.number)
    no_model = await ask(app, context, method, path, body)
    problems = [Problem(f"a request to {path}", no_model)]
    if "{version}" in template:
        path = template.format(name=shown.name, version=NO_VERSION)
        no_version = await ask(app, context, method, path, body)
        problems.append(Problem(f"a request to {path}", no_version))
    elif method == "GET":
        path = template.format(name=shown.name)
        problems += await _loading_problems(app, context, method, path)
    return problems


async def reload_problems(app: FastAPI, context: Context, path: str) -> list[Problem]:
    """Show why a reload may fail; nothing is reloaded.

    Args:
        app: Has the routes.
        context: See `asking.aside`.
        path: Of the reload of the default model.
    """
    drained = Readiness(context.registry)
    drained.is_draining = True
    draining = await ask(app, context._replace(readiness=drained), "POST", path)
    gone = reload_service_error(
        context.registry.default,
        ReloadError("its checkpoint is not there any more"),
        is_served=True,
    )
    return [
        Problem(f"a reload of {NO_MODEL}", problem_of(_no_files())),
        Problem("a reload while the process shuts down", draining),
        Problem("a reload of a model whose file was deleted", problem_of(gone)),
    ]


def key_problems(api_keys: ApiKeys, *, for_admin: bool) -> list[Problem]:
    """Show what is answered without a key, or with one that is not right."""
    problems = [_refused(api_keys, None, for_admin)]
    if api_keys.are_set:
        unknown = f"Bearer {UNKNOWN_KEY}".encode()
        problems.append(_refused(api_keys, unknown, for_admin))
    if for_admin:
        error = problem_of(not_admin("your-key"))
        problems.append(Problem("a request with a key that is no admin's", error))
    return problems


def named(problems: Iterable[Problem]) -> dict[tuple[int, str], dict[str, Any]]:
    """Turn problems into examples, by status and name; of a code the first counts."""
    examples: dict[tuple[int, str], dict[str, Any]] = {}
    for what, answered in problems:
        if answered.status >= 400:
            value = answered.value
            example = {"description": f"The answer to {what}.", "value": value}
            examples.setdefault((answered.status, value["code"]), example)
    return examples


def _refused(api_keys: ApiKeys, sent: bytes | None, for_admin: bool) -> Problem:
    what = f"the key `{UNKNOWN_KEY}`" if sent else "a request without a key"
    try:
        api_keys.authorize(sent, for_admin=for_admin)
    except ServiceError as error:
        return Problem(what, problem_of(error))
    raise AssertionError("a key is asked for here")


async def _loading_problems(
    app: FastAPI, context: Context, method: str, path: str
) -> list[Problem]:
    empty = context._replace(registry=ModelRegistry())
    answered = await ask(app, empty, method, path)
    return [Problem("a request before the models are loaded", answered)]


def _full(context: Context) -> Context:
    settings = context.settings
    limit = AdmissionLimit(
        settings.max_queue_elements, settings.max_elements, settings.timeout_seconds
    )
    limit.elements = limit.limit
    return context._replace(admission=limit)


def _late(context: Context) -> ServiceError:
    """Make the error of a request that has waited for as long as it may."""
    settings = context.settings
    seconds = settings.timeout_seconds
    limit = AdmissionLimit(settings.max_queue_elements, settings.max_elements, seconds)
    state = RequestState(limit)
    state.enter(QUEUE)
    state.since -= seconds
    state.deadline = perf_counter()
    error = state.stop_error()
    assert isinstance(error, ServiceError)
    return error


def _no_files() -> ServiceError:
    try:
        find_contents(ScanResult([], []), NO_MODEL, is_served=False)
    except ServiceError as error:
        return error
    raise AssertionError("a model without files is found")
