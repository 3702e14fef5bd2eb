"""The routes of the native API. They name fields and nothing else."""

from typing import Annotated, Any

import fastapi
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from service.bodies import read_body
from service.inference import Exchange, Reply, answer_predict, answer_sigmoid
from service.lean import Call
from service.media import answer_media, request_media
from service.openapi import inference_operation, problem_responses
from service.repository import Repository
from service.schemas import (
    Card,
    Health,
    ModelList,
    PredictQuery,
    PredictReply,
    PredictRequest,
    ServedModel,
    SigmoidBatchReply,
    SigmoidReply,
    SigmoidRequest,
)
from service.settings import Settings
from service.worker import Worker

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


def inference_router(
    repository: Repository, settings: Settings, worker: Worker
) -> APIRouter:
    """Make the routes that take the short way (see `service.lean`)."""
    router = APIRouter()

    async def exchange(call: Call) -> Exchange:
        fields = call.fields
        media = request_media(
            fields.get(b"content-type"), fields.get(b"content-encoding")
        )
        return Exchange(
            body=await read_body(call.receive, fields, settings.max_body_bytes),
            request=media,
            answer=answer_media(fields.get(b"accept")),
            max_elements=settings.max_elements,
            timings=call.timings,
            worker=worker,
        )

    @router.post("/predict", **_PREDICT)
    async def predict(call: Call, query: Query) -> Reply:
        """Ask the default model: logits, probabilities and labels of rows."""
        found = repository.find(repository.default)
        return await answer_predict(await exchange(call), found, query.output)

    @router.post("/models/{name}/predict", **_PREDICT)
    async def predict_with_model(call: Call, name: str, query: Query) -> Reply:
        """Ask the newest version of a model."""
        found = repository.find(name)
        return await answer_predict(await exchange(call), found, query.output)

    @router.post(
        "/models/{name}/versions/{version}/predict",
        **_PREDICT,
    )
    async def predict_with_version(
        call: Call, name: str, version: str, query: Query
    ) -> Reply:
        """Ask one version of a model."""
        found = repository.find(name, version)
        return await answer_predict(await exchange(call), found, query.output)

    @router.post("/sigmoid", **_SIGMOID)
    async def sigmoid(call: Call) -> Reply:
        """Compute the sigmoid of every element of a tensor, or of several tensors."""
        return await answer_sigmoid(await exchange(call))

    return router


@router.get("/models", tags=["models"])
async def list_models(request: Request) -> ModelList:
    """List the models that are served."""
    repository = _repository(request)
    served = [_served(repository, name) for name in repository.models]
    return ModelList(default=repository.default, models=served)


@router.get("/models/{name}", tags=["models"], responses=problem_responses(404))
async def model_card(request: Request, name: str) -> Card:
    """Show the card of a model's newest version."""
    repository = _repository(request)
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


@router.get("/limits", tags=["operation"])
async def limits(request: Request) -> dict[str, int]:
    """Show every limit by the setting that changes it."""
    return _settings(request).limits()


@router.get("/livez", tags=["operation"], response_model_exclude_none=True)
@router.get("/startupz", tags=["operation"], response_model_exclude_none=True)
async def alive() -> Health:
    """Answer as long as the process serves; the models are loaded before it does."""
    return Health(status="ok")


@router.get(
    "/readyz",
    tags=["operation"],
    response_model=Health,
    response_model_exclude_none=True,
    responses={503: {"model": Health, "description": "A model must not answer"}},
)
async def ready(request: Request, response: Response) -> Health:
    """Answer 200 where every model may answer, else 503 with the reasons."""
    faults = _repository(request).faults()
    if not faults:
        return Health(status="ok")
    response.status_code = 503
    return Health(status="unavailable", reasons=faults)


@router.get("/", include_in_schema=False)
async def home(request: Request) -> RedirectResponse:
    """Show the API documentation."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")


def _repository(request: Request) -> Repository:
    repository: Repository = request.app.state.repository
    return repository


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def _served(repository: Repository, name: str) -> ServedModel:
    newest = repository.find(name)
    return ServedModel(
        name=name,
        version=newest.version,
        versions=list(repository.models[name]),
        state=newest.state,
        device=str(newest.engine.device),
    )
