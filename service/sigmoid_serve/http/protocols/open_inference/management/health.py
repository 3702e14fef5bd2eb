"""Whether the server is alive, and whether requests should be sent to it."""

from fastapi import APIRouter, Request

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.context import context_of
from sigmoid_serve.http.health import bounded
from sigmoid_serve.http.openapi import operation_id
from sigmoid_serve.http.protocols.open_inference.errors import responses
from sigmoid_serve.http.protocols.open_inference.management.metadata_schemas import (
    ServerLive,
    ServerReady,
)

router = APIRouter(
    prefix="/v2/health",
    tags=["open inference protocol"],
    generate_unique_id_function=operation_id,
    responses=responses(500),
)


@router.get("/live")
async def server_live() -> ServerLive:
    """Answer 200 while the process is alive, whatever its models and its load."""
    return ServerLive()


@router.get("/ready", responses=responses(503))
async def server_ready(request: Request) -> ServerReady:
    """Answer 200 if requests should be sent here, else 503 with the reasons."""
    reasons = context_of(request).readiness.reasons()
    if reasons:
        raise ServiceError("not_ready", "; ".join(bounded(reasons)))
    return ServerReady()
