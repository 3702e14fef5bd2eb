"""The routes for administrators: limits, metrics, reloads."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.context import context_of
from sigmoid_serve.http.headers import combine_headers
from sigmoid_serve.http.openapi import operation_id, problem_responses
from sigmoid_serve.http.schemas import ReloadResponse
from sigmoid_serve.monitoring.metrics import CONTENT_TYPE, exposition

router = APIRouter(
    tags=["admin"],
    generate_unique_id_function=operation_id,
    responses=problem_responses(500, 503),
)

_METRICS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get("/limits")
async def get_limits(request: Request) -> dict[str, int | float | None]:
    """Show every limit, by the name of its setting."""
    return context_of(request).settings.limits()


@router.get("/metrics", responses=_METRICS, response_class=Response)
async def get_metrics(request: Request) -> Response:
    """Show the metrics of all workers in the text format of Prometheus."""
    context = context_of(request)
    context.update_gauges()
    return Response(exposition(context.telemetry.memory), media_type=CONTENT_TYPE)


@router.post("/models/{name}/reload", responses=problem_responses(401, 404))
async def reload_model(request: Request, name: str) -> ReloadResponse:
    """Reload the checkpoints of a model in every worker, or in none.

    It needs an admin's key. If it fails, the running version goes on serving.
    """
    context = context_of(request)
    key = combine_headers(request.scope["headers"]).get(b"authorization")
    context.api_keys.authorize(key, for_admin=True)
    if context.readiness.is_draining:
        raise ServiceError("draining", "this process is shutting down; ask another")
    await context.reload(name)
    newest = context.registry.find(name)
    return ReloadResponse(model=name, version=newest.number)
