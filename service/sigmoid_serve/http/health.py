"""The routes of the probes: alive, started, ready."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import orjson
from fastapi import APIRouter, Request, Response

from sigmoid_serve.http.context import context_of
from sigmoid_serve.http.openapi import operation_id, problem_responses
from sigmoid_serve.http.schemas import Health
from sigmoid_serve.repository.load_problems import more

router = APIRouter(
    tags=["health"],
    generate_unique_id_function=operation_id,
    responses=problem_responses(500),
)

HEALTH_PATHS: Final = frozenset(("/livez", "/readyz", "/startupz"))
"""The probes' paths, which never need a key."""

# With what is around them, the answer of a probe is below 4 KiB.
_MOST_REASON_BYTES: Final = 3900
_MOST_REASONS: Final = 40


@router.get("/livez", response_model_exclude_none=True)
async def livez() -> Health:
    """Answer 200 while the process is alive, whatever its models and its load."""
    return Health(status="ok")


_UNAVAILABLE: dict[int | str, dict[str, Any]] = {
    503: {"model": Health, "description": "The reasons"}
}


@router.get("/startupz", response_model_exclude_none=True, responses=_UNAVAILABLE)
async def startupz(request: Request, response: Response) -> Health:
    """Answer 200 once the models are loaded, before that 503 with the reasons."""
    registry = context_of(request).registry
    return _health(response, registry.faults() if registry.is_loading else [])


@router.get("/readyz", response_model_exclude_none=True, responses=_UNAVAILABLE)
async def readyz(request: Request, response: Response) -> Health:
    """Answer 200 if requests should be sent here, else 503 with the reasons.

    A model that was found in a folder and cannot be served is named as well, but
    does not make it a 503.
    """
    readiness = context_of(request).readiness
    return _health(response, readiness.reasons(), readiness.remarks())


def _health(
    response: Response, reasons: list[str], remarks: Sequence[str] = ()
) -> Health:
    if reasons:
        response.status_code = 503
    status: Literal["ok", "unavailable"] = "unavailable" if reasons else "ok"
    return Health(status=status, reasons=bounded([*reasons, *remarks]) or None)


def bounded(reasons: Sequence[str]) -> list[str]:
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
