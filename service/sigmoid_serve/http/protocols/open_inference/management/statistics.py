"""The statistics of models, as Triton has them, over all workers.

The path of all models must be found before that of a model's metadata: `router` comes
before that of `metadata`.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

from fastapi import APIRouter, Request

from sigmoid_serve.http.context import context_of
from sigmoid_serve.http.openapi import operation_id
from sigmoid_serve.http.protocols.open_inference.errors import responses
from sigmoid_serve.http.protocols.open_inference.management.metadata_schemas import (
    Duration,
    InferenceStatistics,
    Statistics,
    VersionStatistics,
)
from sigmoid_serve.http.protocols.open_inference.signature import (
    ELEMENTWISE,
    ELEMENTWISE_VERSION,
    find_version,
)
from sigmoid_serve.monitoring.metrics import merged_cells

_Cells: TypeAlias = Mapping[str, Mapping[tuple[str, ...], list[float]]]
"""Of all series, by family and values of labels."""

_NO_MODEL: Final = responses(404)

router = APIRouter(
    tags=["open inference protocol"],
    generate_unique_id_function=operation_id,
    responses=responses(500, 503),
)


@router.get("/v2/models/stats")
async def all_statistics(request: Request) -> Statistics:
    """Show what was counted of all versions of all models."""
    return _statistics(request, [*context_of(request).registry.models, ELEMENTWISE])


@router.get("/v2/models/{name}/stats", responses=_NO_MODEL)
async def model_statistics(request: Request, name: str) -> Statistics:
    """Show what was counted of all versions of a model."""
    find_version(context_of(request).registry, name)
    return _statistics(request, [name])


@router.get("/v2/models/{name}/versions/{version}/stats", responses=_NO_MODEL)
async def version_statistics(request: Request, name: str, version: str) -> Statistics:
    """Show what was counted of one version of a model."""
    context = context_of(request)
    find_version(context.registry, name, version)
    cells = merged_cells(context.telemetry.memory)
    return Statistics(model_stats=[_statistics_of(cells, name, version)])


def _statistics(request: Request, names: list[str]) -> Statistics:
    context = context_of(request)
    models = context.registry.models
    cells = merged_cells(context.telemetry.memory)
    return Statistics(
        model_stats=[
            _statistics_of(cells, name, number)
            for name in names
            for number in models.get(name, (ELEMENTWISE_VERSION,))
        ]
    )


def _statistics_of(cells: _Cells, name: str, number: str) -> VersionStatistics:
    def value(family: str, *label: str) -> float:
        return cells[family].get((name, number, *label), [0.0])[0]

    def requests(result: str) -> Duration:
        return Duration(
            count=int(value("sigmoid_model_requests_total", result)),
            ns=_nanoseconds(value("sigmoid_model_request_seconds_total", result)),
        )

    success = requests("success")

    def stage(stage: str) -> Duration:
        seconds = value("sigmoid_model_stage_seconds_total", stage)
        return Duration(count=success.count, ns=_nanoseconds(seconds))

    rows, batches = value("sigmoid_rows_total"), value("sigmoid_model_batches_total")
    if name == ELEMENTWISE:  # a request is computed at once, and alone
        rows = batches = success.count
    last = value("sigmoid_model_last_success_timestamp_seconds")
    none = Duration(count=0, ns=0)
    return VersionStatistics(
        name=name,
        version=number,
        last_inference=int(1000 * last),
        inference_count=int(rows),
        execution_count=int(batches),
        inference_stats=InferenceStatistics(
            success=success,
            fail=requests("failure"),
            queue=stage("queue"),
            compute_input=stage("parse"),
            compute_infer=stage("infer"),
            compute_output=stage("encode"),
            cache_hit=none,
            cache_miss=none,
        ),
    )


def _nanoseconds(seconds: float) -> int:
    return round(1e9 * seconds)
