"""Puts the examples into the document of the API."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from fastapi import FastAPI

from sigmoid_models.card import ModelCard
from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.http.context import Context
from sigmoid_serve.http.error_handlers import NATIVE
from sigmoid_serve.http.examples.asking import aside, ask
from sigmoid_serve.http.examples.faults import (
    Problem,
    inference_problems,
    key_problems,
    model_problems,
    named,
    reload_problems,
)
from sigmoid_serve.http.examples.inference import (
    Exchanges,
    predict_exchanges,
    protocol_exchanges,
    shown_models,
    sigmoid_exchanges,
)
from sigmoid_serve.inference.media import JSON
from sigmoid_serve.monitoring.metrics import new_memory
from sigmoid_serve.monitoring.telemetry import Telemetry
from sigmoid_serve.registry.readiness import Readiness
from sigmoid_serve.registry.registry import ModelRegistry, ModelVersion

# Of one answer to GET; of a longer one no example is shown.
_MOST_BYTES: Final = 2**15

# The metrics are many pages of lines that are much alike.
_MOST_TEXT_BYTES: Final = 2**10

Operation = dict[str, Any]


async def add_examples(
    document: dict[str, Any], app: FastAPI, context: Context, *, is_known: bool
) -> None:
    """Put requests into a document, and what the server answers to them right now.

    Args:
        document: Has every operation and its responses; examples of others are left
            out.
        app: Answers.
        context: Of the application.
        is_known: Whether the reader may ask everything. Others are shown no model but
            the default one, and nothing that needs a key.
    """
    inside = aside(context)
    versions = shown_models(context.registry)[: None if is_known else 1]
    paths = document["paths"]
    _name_parameters(paths, versions)
    exchanges = [await predict_exchanges(app, inside, each) for each in versions]
    for path in [path for path in paths if path.endswith("/predict")]:
        several = exchanges if "{name}" in path else exchanges[:1]
        found = {name: one for some in several for name, one in some.items()}
        if "{version}" in path:  # one of each is enough
            found = {name: one for name, one in found.items() if name.endswith(": row")}
        _put_exchanges(paths[path]["post"], found)
    _put_exchanges(paths["/sigmoid"]["post"], await sigmoid_exchanges(app, inside))
    await _add_of_protocols(paths, app, inside, versions)
    for path, operations in paths.items():
        if is_known or operations.get("get", {}).get("tags") == ["health"]:
            await _put_answers(app, inside, path, operations, versions)
        if context.error_form(path) is NATIVE:
            problems = await _problems(app, context, path, versions[0])
            _put_problems(operations.get("post") or operations["get"], problems)


async def _add_of_protocols(
    paths: Mapping[str, Any],
    app: FastAPI,
    inside: Context,
    versions: list[ModelVersion],
) -> None:
    """Put requests of protocols in, as the models have them."""
    for protocol in inside.protocols:
        for template in {each.template for each in protocol.operations} & paths.keys():
            found: Exchanges = {}
            for version in versions:
                found |= await protocol_exchanges(
                    app, inside, protocol, template, version
                )
            _put_exchanges(paths[template]["post"], found)


def _name_parameters(paths: Mapping[str, Any], versions: list[ModelVersion]) -> None:
    """Offer the names of models and the numbers of their versions."""
    examples = {
        "name": {each.name: {"value": each.name} for each in versions},
        "version": {each.number: {"value": each.number} for each in versions},
    }
    for operations in paths.values():
        for operation in operations.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] in examples:
                    parameter["examples"] = examples[parameter["name"]]


def _put_exchanges(operation: Operation, exchanges: Exchanges) -> None:
    asked = {name: {"value": one.request} for name, one in exchanges.items()}
    answered = {
        name: {"value": one.answer}
        for name, one in exchanges.items()
        if one.answer is not None
    }
    if asked:
        operation["requestBody"]["content"][JSON]["examples"] = asked
    if answered:
        operation["responses"]["200"]["content"][JSON]["examples"] = answered


async def _put_answers(
    app: FastAPI,
    inside: Context,
    path: str,
    operations: Mapping[str, Operation],
    versions: list[ModelVersion],
) -> None:
    """Show the answers of a route that is not one of inference."""
    if path.endswith("/reload"):
        # It answers as it would, and reloads nothing.
        inside = inside._replace(reload=_reload_nothing)
        await _put_answer(app, inside, path, operations["post"], versions)
    elif "get" in operations:
        # What was counted so far is another with every request.
        inside = inside._replace(telemetry=_sample(versions[0].name))
        await _put_answer(app, inside, path, operations["get"], versions)
    if "503" in operations.get("get", {}).get("responses", {}):
        loading = ModelRegistry()
        early = inside._replace(registry=loading, readiness=Readiness(loading))
        answered = await ask(app, early, "GET", path)
        if answered.status == 503 and answered.media_type == JSON:
            _put(operations["get"], 503, JSON, {"loading": {"value": answered.value}})


async def _put_answer(
    app: FastAPI,
    inside: Context,
    path: str,
    operation: Operation,
    versions: list[ModelVersion],
) -> None:
    method = "POST" if path.endswith("/reload") else "GET"
    filled = {"answer": path}
    if "{version}" in path:  # one of each is enough
        versions = versions[:1]
    if "{name}" in path:
        filled = {
            each.name: path.format(name=each.name, version=each.number)
            for each in versions
            if not _is_long(each.engine.card)
        }
    examples = {}
    media = JSON
    for name, place in filled.items():
        answered = await ask(app, inside, method, place)
        if answered.status != 200:  # such as of a model that is gone by now
            continue
        value, media = answered.value, answered.media_type
        if media != JSON:
            value = _beginning(value)
        if len(orjson.dumps(value)) <= _MOST_BYTES:
            examples[name] = {"value": value}
    _put(operation, 200, media, examples)


async def _reload_nothing(name: str) -> None:
    """Stand in for a reload that finds what serves already."""


def _sample(model: str) -> Telemetry:
    """Count two requests, so that the example is the same in every process."""
    telemetry = Telemetry(new_memory(1), 0)
    state = RequestState(AdmissionLimit(1, 1, 1))
    state.route, state.model = "/predict", model
    state.began, state.since = 0.0, 0.001
    telemetry.record_response(state, 200, "ok")
    telemetry.record_response(state, 422, "features")
    return telemetry


def _is_long(card: ModelCard) -> bool:
    """Tell whether to show a card would take long, and be in vain."""
    scale = card.scaler.scale if card.scaler else ()
    parts = (card.features or (), card.classes or (), card.layers or (), scale)
    rows = (*(card.quantiles or ()), *(card.golden.inputs if card.golden else ()))
    return max(sum(map(len, rows)), *map(len, parts)) > _MOST_BYTES // 4


def _beginning(text: str) -> str:
    """Take the first lines of a text."""
    if len(text) <= _MOST_TEXT_BYTES:
        return text
    return text[: text.rindex("\n", 0, _MOST_TEXT_BYTES) + 1]


async def _problems(
    app: FastAPI, context: Context, path: str, default: ModelVersion
) -> list[Problem]:
    inside = aside(context)
    example = path.format(name=default.name, version=default.number)
    problems: list[Problem] = []
    is_reload = path.endswith("/reload")
    if is_reload:
        problems += await reload_problems(app, inside, example)
    elif path.endswith(("/predict", "/sigmoid")):
        problems += await inference_problems(app, inside, example)
    if "{name}" in path and not is_reload:
        method = "POST" if path.endswith("/predict") else "GET"
        problems += await model_problems(app, inside, method, path, default)
    if context.api_keys.are_set or is_reload:
        problems += key_problems(context.api_keys, for_admin=is_reload)
    return problems


def _put_problems(operation: Operation, problems: list[Problem]) -> None:
    by_status: dict[int, dict[str, Any]] = {}
    for (status, code), example in named(problems).items():
        by_status.setdefault(status, {})[code] = example
    for status, examples in by_status.items():
        if str(status) in operation["responses"]:
            _put(operation, status, NATIVE.media_type, examples)


def _put(
    operation: Operation, status: int, media: str, examples: Mapping[str, Any]
) -> None:
    if not examples:
        return
    content = operation["responses"][str(status)].setdefault("content", {})
    media = next((full for full in content if full.partition(";")[0] == media), media)
    content.setdefault(media, {"schema": {"type": "string"}})["examples"] = examples
