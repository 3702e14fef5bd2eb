"""The routes for those who operate the service: limits, health, metrics, reloads."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import orjson
from fastapi import APIRouter, Request, Response

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.context import context_of
from sigmoid_serve.http.headers import combine_headers
from sigmoid_serve.http.openapi import problem_responses
from sigmoid_serve.http.schemas import Health, ReloadResponse
from sigmoid_serve.monitoring.metrics import CONTENT_TYPE, exposition
from sigmoid_serve.repository.load_problems import more

router = APIRouter(tags=["operation"])

# With what is around them, the answer of a probe is below 4 KiB.
_MOST_REASON_BYTES: Final = 3900
_MOST_REASONS: Final = 40


@router.get("/limits", responses=problem_responses(401))
async def limits(request: Request) -> dict[str, int | float | None]:
    """Show every limit by the setting that changes it."""
    return context_of(request).settings.limits()


@router.get("/livez", response_model_exclude_none=True)
async def alive() -> Health:
    """Answer as long as the process does; it waits for no model and no queue."""
    return Health(status="ok")


_UNAVAILABLE: dict[int | str, dict[str, Any]] = {
    503: {"model": Health, "description": "The reasons"}
}


@router.get("/startupz", response_model_exclude_none=True, responses=_UNAVAILABLE)
async def started(request: Request, response: Response) -> Health:
    """Answer 200 once the models are loaded."""
    registry = context_of(request).registry
    return _health(response, registry.faults() if registry.is_loading else [])


@router.get("/readyz", response_model_exclude_none=True, responses=_UNAVAILABLE)
async def ready(request: Request, response: Response) -> Health:
    """Answer 200 where requests should come here, else 503; with the reasons.

    A model that was found in a folder and cannot be served is a reason, but no 503.
    """
    readiness = context_of(request).readiness
    return _health(response, readiness.reasons(), readiness.remarks())


@router.get("/metrics", responses=problem_responses(401), response_class=Response)
async def metrics(request: Request) -> Response:
    """Show the metrics of all workers, as Prometheus reads them."""
    context = context_of(request)
    context.update_gauges()
    return Response(exposition(context.telemetry.memory), media_type=CONTENT_TYPE)


@router.post("/models/{name}/reload", responses=problem_responses(401, 403, 404, 503))
async def reload(request: Request, name: str) -> ReloadResponse:
    """Serve the checkpoints of a model as they are now, in every worker, or in none.

    It needs the key of an admin. A checkpoint that cannot be served changes nothing.
    """
    context = context_of(request)
    key = combine_headers(request.scope["headers"]).get(b"authorization")
    context.api_keys.authorize(key, for_admin=True)
    if context.readiness.is_draining:
        raise ServiceError("draining", "this process is about to end; ask another")
    await context.reload(name)
    newest = context.registry.find(name)
    return ReloadResponse(model=name, version=newest.number)


def _health(
    response: Response, reasons: list[str], remarks: Sequence[str] = ()
) -> Health:
    if reasons:
        response.status_code = 503
    status: Literal["ok", "unavailable"] = "unavailable" if reasons else "ok"
    return Health(status=status, reasons=_bounded([*reasons, *remarks]) or None)


def _bounded(reasons: Sequence[str]) -> list[str]:
    """Shorten them, where all would be too long for the answer of a probe."""
    kept = [*reasons[:_MOST_REASONS], *more(len(reasons), _MOST_REASONS)]
    if len(orjson.dumps(kept)) <= _MOST_REASON_BYTES:
        return kept
    room = _MOST_REASON_BYTES // len(kept)
    return [_shortened(reason, room) for reason in kept]


def _shortened(reason: str, room: int) -> str:
    """Cut a text so that it has at most `room` bytes in a list of JSON."""
    while len(orjson.dumps(reason)) >= room:
        reason = f"{reason[: len(reason) * 7 // 8 - 1]}…"
    return reason
