"""The routes of the native API. They name fields and nothing else."""

from typing import Annotated, Any

import fastapi
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse

from sigmoid_serve.admission.stages import QUEUE
from sigmoid_serve.errors import shown
from sigmoid_serve.http.bodies import inflate, most_inflated, read_body
from sigmoid_serve.http.context import Context, context_of
from sigmoid_serve.http.lean import Call
from sigmoid_serve.http.openapi import inference_operation, problem_responses
from sigmoid_serve.inference.media import answer_media, request_encodings, request_media
from sigmoid_serve.inference.predict import answer_predict
from sigmoid_serve.inference.request import Exchange, Limits, Reply
from sigmoid_serve.inference.schemas import (
    Card,
    ModelList,
    PassedOver,
    PredictQuery,
    PredictReply,
    PredictRequest,
    ServedModel,
    SigmoidBatchReply,
    SigmoidReply,
    SigmoidRequest,
)
from sigmoid_serve.inference.sigmoid import answer_sigmoid
from sigmoid_serve.registry.registry import Repository
from sigmoid_serve.repository.load_problems import MOST_LISTED

router = APIRouter()

_PREDICT: dict[str, Any] = {
    "tags": ["inference"],
    "response_model": None,
    "openapi_extra": inference_operation(PredictRequest, PredictReply),
}
_SIGMOID: dict[str, Any] = {
    **_PREDICT,
    "openapi_extra": inference_operation(
        SigmoidRequest, SigmoidReply, SigmoidBatchReply
    ),
}

Query = Annotated[PredictQuery, fastapi.Query()]


def inference_router(context: Context) -> APIRouter:
    """Make the routes that take the short way (see `sigmoid_serve.http.lean`)."""
    router = APIRouter()
    repository, settings, queue = context.repository, context.settings, context.queue
    limits = Limits.of(settings)

    async def exchange(call: Call) -> Exchange:
        fields = call.fields
        media = request_media(fields.get(b"content-type"))
        encodings = request_encodings(fields.get(b"content-encoding"))
        answer = answer_media(fields.get(b"accept"))
        ticket = call.ticket
        body = await read_body(
            call.receive, fields, settings.max_body_bytes, settings.body_seconds, ticket
        )
        ticket.arrived()
        for encoding in reversed(encodings):
            call.watch()
            ticket.enter(QUEUE)
            most_bytes = settings.max_inflated_bytes
            held = queue.most(most_inflated(body, most_bytes))
            queue.check(held - ticket.elements)
            ticket.settle(held)
            body = await context.worker.run(
                ticket, inflate, body, encoding, most_bytes, ticket.check
            )
            ticket.settle(queue.most(len(body)))
        return Exchange(body, media, answer, limits, ticket, context.worker, call.watch)

    @router.post("/predict", **_PREDICT)
    async def predict(call: Call, query: Query) -> Reply:
        """Ask the default model: logits, probabilities and labels of rows."""
        found = call.find(repository.default)
        return await answer_predict(await exchange(call), found, query.output)

    @router.post("/models/{name}/predict", **_PREDICT)
    async def predict_with_model(call: Call, name: str, query: Query) -> Reply:
        """Ask the newest version of a model."""
        found = call.find(name)
        return await answer_predict(await exchange(call), found, query.output)

    @router.post(
        "/models/{name}/versions/{version}/predict",
        **_PREDICT,
    )
    async def predict_with_version(
        call: Call, name: str, version: str, query: Query
    ) -> Reply:
        """Ask one version of a model."""
        found = call.find(name, version)
        return await answer_predict(await exchange(call), found, query.output)

    @router.post("/sigmoid", **_SIGMOID)
    async def sigmoid(call: Call) -> Reply:
        """Compute the sigmoid of every element of a tensor, or of several tensors."""
        return await answer_sigmoid(await exchange(call))

    return router


@router.get("/models", tags=["models"], response_model_exclude_defaults=True)
async def list_models(request: Request) -> ModelList:
    """List the models that are served, and what was found and is not."""
    repository = context_of(request).repository
    return ModelList(
        default=repository.default,
        models=[_served(repository, name) for name in repository.models],
        passed_over=[
            PassedOver(
                name=shown(each.name),
                version=None if each.version is None else shown(each.version),
                reason=each.reason,
            )
            for each in repository.passed_over[:MOST_LISTED]
        ],
        more_passed_over=max(0, len(repository.passed_over) - MOST_LISTED),
    )


@router.get("/models/{name}", tags=["models"], responses=problem_responses(404, 503))
async def model_card(request: Request, name: str) -> Card:
    """Show the card of a model's newest version."""
    repository = context_of(request).repository
    newest = repository.find(name)
    card = newest.engine.card
    return Card(
        **_served(repository, name).model_dump(),
        task=card.task,
        features=card.architecture.features,
        feature_names=list(card.features) if card.features else None,
        classes=list(card.classes) if card.classes else None,
        architecture=card.architecture.model_dump(),
        activation=card.activation,
        parameters=card.architecture.parameters,
        sha256=newest.sha256,
        metrics=card.metrics.model_dump() if card.metrics else None,
        temperature=card.temperature,
        thresholds=list(card.thresholds) if card.thresholds else None,
    )


@router.get("/", include_in_schema=False)
async def home(request: Request) -> RedirectResponse:
    """Show the API documentation."""
    root_path = context_of(request).settings.root_path
    return RedirectResponse(f"{root_path}/docs" if root_path else "docs")


def _served(repository: Repository, name: str) -> ServedModel:
    newest = repository.find(name)
    return ServedModel(
        name=name,
        version=newest.version,
        versions=list(repository.models[name]),
        state=newest.state,
        device=str(newest.engine.device),
    )
