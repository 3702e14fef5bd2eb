"""The routes of the native API. They name fields and nothing else."""

from collections.abc import Callable
from time import perf_counter
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from service.errors import ServiceError
from service.inference import Exchange, Reply, answer_predict, answer_sigmoid
from service.media import answer_media, request_media
from service.openapi import inference_operation, problem_responses
from service.repository import Repository, Version
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
from service.timing import Timings

router = APIRouter()

_PREDICT = inference_operation(PredictRequest, PredictReply)
_SIGMOID = inference_operation(SigmoidRequest, SigmoidReply, SigmoidBatchReply)


@router.post("/predict", tags=["inference"], openapi_extra=_PREDICT)
async def predict(
    request: Request, query: Annotated[PredictQuery, Query()]
) -> Response:
    """Ask the default model: logits, probabilities and labels of rows of features."""
    return await _predict(request, query, _repository(request).default, None)


@router.post("/models/{name}/predict", tags=["inference"], openapi_extra=_PREDICT)
async def predict_with_model(
    request: Request, name: str, query: Annotated[PredictQuery, Query()]
) -> Response:
    """Ask the newest version of a model."""
    return await _predict(request, query, name, None)


@router.post(
    "/models/{name}/versions/{version}/predict",
    tags=["inference"],
    openapi_extra=_PREDICT,
)
async def predict_with_version(
    request: Request,
    name: str,
    version: str,
    query: Annotated[PredictQuery, Query()],
) -> Response:
    """Ask one version of a model."""
    return await _predict(request, query, name, version)


@router.post("/sigmoid", tags=["inference"], openapi_extra=_SIGMOID)
async def sigmoid(request: Request) -> Response:
    """Compute the sigmoid of every element of a tensor, or of several tensors."""
    return await _answer(request, answer_sigmoid)


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


async def _predict(
    request: Request, query: PredictQuery, name: str, version: str | None
) -> Response:
    request.state.timings = Timings()
    found: Version = _repository(request).find(name, version)
    return await _answer(request, answer_predict, found, query.output)


async def _answer(
    request: Request, answer: Callable[..., Reply], *arguments: Any
) -> Response:
    """Read the request, and answer it on a thread, off the event loop."""
    request.state.timings = timings = Timings()
    settings, headers = _settings(request), request.headers
    media = request_media(headers.get("content-type"), headers.get("content-encoding"))
    exchange = Exchange(
        body=await _body(request, settings.max_body_bytes),
        request=media,
        answer=answer_media(headers.get("accept")),
        max_elements=settings.max_elements,
        timings=timings,
    )
    submitted = perf_counter()

    def run() -> Reply:
        timings.seconds["queue"] = perf_counter() - submitted
        return answer(exchange, *arguments)

    reply = await run_in_threadpool(run)
    return Response(reply.content, media_type=reply.media_type)


async def _body(request: Request, max_bytes: int) -> bytes:
    """Read the body, and no further than its limit allows.

    FastAPI's own `max_body_size` would answer a declared length with plain text.
    """
    declared = request.headers.get("content-length", "0")
    total = int(declared) if declared.isdecimal() else 0
    chunks = []
    if total <= max_bytes:
        total = 0
        async for chunk in request.stream():
            total += len(chunk)
            if total > max_bytes:
                break
            chunks.append(chunk)
    if total > max_bytes:
        raise ServiceError(
            "body_too_large",
            f"the body is longer than {max_bytes} bytes (SIGMOID_MAX_BODY_BYTES)",
            expected=f"at most {max_bytes} bytes",
            got="more",
        )
    return b"".join(chunks)
