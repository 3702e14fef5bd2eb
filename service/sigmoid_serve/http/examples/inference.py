"""Examples of inference: requests, and what the server answers to them."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import orjson

from sigmoid_models.card import ModelCard
from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.engine.background import BackgroundExecutor
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.inference.media import JSON
from sigmoid_serve.inference.request import InferenceRequest, InferenceResponse, Limits

SIGMOID_EXAMPLES: dict[str, Any] = {
    "tensor": {"inputs": [-1.0, 0.0, 1.0]},
    "batch": {"batch": [0.0, [1, 2], [[3]], []]},
    "dtype": {"inputs": [[-740.5], [1e-3]], "dtype": "float64"},
}


def predict_examples(card: ModelCard) -> dict[str, Any]:
    """Make requests of a model's golden rows, or of zeros where it has none."""
    zeros = (0.0,) * card.architecture.features
    rows = card.golden.inputs if card.golden else (zeros, zeros)
    examples: dict[str, Any] = {
        "row": {"inputs": rows[0]},
        "rows": {"inputs": rows[:2]},
    }
    if card.features:
        record = dict(zip(card.features, rows[0], strict=True))
        examples["record"] = {"inputs": record}
    return examples


async def add_examples(
    operation: dict[str, Any],
    requests: dict[str, Any],
    answer: Callable[[InferenceRequest], Awaitable[InferenceResponse]],
    background: BackgroundExecutor,
) -> None:
    """Put requests and the answers to them into an operation.

    A model that is not ready has no answers to show.
    """
    body = operation["requestBody"]["content"][JSON]
    body["examples"] = {name: {"value": value} for name, value in requests.items()}
    limits = Limits.of(Settings())
    answers = operation["responses"]["200"]["content"][JSON].setdefault("examples", {})
    for name, value in requests.items():
        body = orjson.dumps(value)
        state = RequestState(AdmissionLimit(2**25, 2**24, 30))
        request = InferenceRequest(
            body, "json", "json", limits, state, background, lambda: None
        )
        with suppress(ServiceError):
            pieces = (await answer(request)).pieces
            answers[name] = {"value": orjson.loads(b"".join(pieces))}
