"""The routes for administrators: limits, metrics, reloads."""

from fastapi import APIRouter, Request, Response

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.context import context_of
from sigmoid_serve.http.headers import combine_headers
from sigmoid_serve.http.openapi import problem_responses
from sigmoid_serve.http.schemas import ReloadResponse
from sigmoid_serve.monitoring.metrics import CONTENT_TYPE, exposition

router = APIRouter(tags=["admin"])


@router.get("/limits", responses=problem_responses(401))
async def limits(request: Request) -> dict[str, int | float | None]:
    """Show every limit, by the name of its setting."""
    return context_of(request).settings.limits()


@router.get("/metrics", responses=problem_responses(401), response_class=Response)
async def metrics(request: Request) -> Response:
    """Show the metrics of all workers in the text format of Prometheus."""
    context = context_of(request)
    context.update_gauges()
    return Response(exposition(context.telemetry.memory), media_type=CONTENT_TYPE)


@router.post("/models/{name}/reload", responses=problem_responses(401, 403, 404, 503))
async def reload(request: Request, name: str) -> ReloadResponse:
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
