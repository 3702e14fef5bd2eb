"""Examples of inference that are right: requests, and what is answered to them."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson
from fastapi import FastAPI

from sigmoid_models.card import ModelCard
from sigmoid_serve.http.context import Context
from sigmoid_serve.http.examples.asking import ask
from sigmoid_serve.http.protocols.protocol import Protocol
from sigmoid_serve.registry.registry import ModelRegistry, ModelVersion

MOST_MODELS: Final = 8
"""So many are shown; the page would be long, and the document slow to make."""

MOST_MODEL_BYTES: Final = 2**15
"""All requests to one model and the answers to them have at most so many."""

SIGMOID_REQUESTS: Final[Mapping[str, Any]] = {
    "tensor": {"inputs": [-1.0, 0.0, 1.0]},
    "batch": {"batch": [0.0, [1, 2], [[3]], []]},
    "dtype": {"inputs": [[-740.5], [1e-3]], "dtype": "float64"},
}


class Exchange(NamedTuple):
    """A request and what is answered to it; None if that is no example."""

    request: Any
    answer: Any


Exchanges = dict[str, Exchange]
"""By the name of the example."""


def shown_models(registry: ModelRegistry) -> list[ModelVersion]:
    """Choose the models that are shown: the default if it serves, others by name."""
    models = registry.models
    names = sorted(models, key=lambda name: name != registry.default)
    return [next(iter(models[name].values())) for name in names[:MOST_MODELS]]


async def predict_exchanges(
    app: FastAPI, context: Context, version: ModelVersion
) -> Exchanges:
    """Ask a model about rows, as far as they are not too long to show.

    A model that is not ready has requests and no answers.
    """
    path = f"/models/{version.name}/versions/{version.number}/predict"
    requests = {
        f"{version.name}: {kind}": value
        for kind, value in _predict_requests(version.engine.card).items()
    }
    return await _exchanges(app, context, path, requests)


async def protocol_exchanges(
    app: FastAPI,
    context: Context,
    protocol: Protocol,
    template: str,
    version: ModelVersion,
) -> Exchanges:
    """Ask a model about a row, as a protocol does, if it is not too long to show.

    Args:
        app: Answers.
        context: See `asking.aside`.
        protocol: Of the path.
        template: Of the path.
        version: That is asked.
    """
    path = template.format(name=version.name, version=version.number)
    rows = list(_predict_requests(version.engine.card).values())[:1]
    requests = {
        f"{version.name}: row": protocol.row_request(row["inputs"]) for row in rows
    }
    return await _exchanges(app, context, path, requests)


async def sigmoid_exchanges(app: FastAPI, context: Context) -> Exchanges:
    """Ask for the sigmoid of some tensors."""
    return await _exchanges(app, context, "/sigmoid", SIGMOID_REQUESTS)


def _predict_requests(card: ModelCard) -> dict[str, Any]:
    """Make requests of a model's golden rows, or of zeros where it has none."""
    # A number and its comma take two bytes at least.
    if 2 * card.architecture.features > MOST_MODEL_BYTES:
        return {}
    zeros = (0.0,) * card.architecture.features
    rows = card.golden.inputs if card.golden else (zeros, zeros)
    requests: dict[str, Any] = {
        "row": {"inputs": rows[0]},
        "rows": {"inputs": rows[:2]},
    }
    if card.features:
        record = dict(zip(card.features, rows[0], strict=True))
        requests["record"] = {"inputs": record}
    return requests


async def _exchanges(
    app: FastAPI, context: Context, path: str, requests: Mapping[str, Any]
) -> Exchanges:
    exchanges: Exchanges = {}
    room = MOST_MODEL_BYTES
    for name, value in requests.items():
        body = orjson.dumps(value)
        if len(body) > room:
            continue
        answered = await ask(app, context, "POST", path, body)
        room -= len(body) + len(answered.body)
        if room >= 0 and answered.status in (200, 503):
            is_answer = answered.status == 200
            exchanges[name] = Exchange(value, answered.value if is_answer else None)
    return exchanges
