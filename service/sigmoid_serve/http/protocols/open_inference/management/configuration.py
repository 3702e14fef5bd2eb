"""The configuration of a model, as Triton's `ModelConfig` has it."""

from typing import Final

from fastapi import APIRouter, Request

from sigmoid_serve.http.context import context_of
from sigmoid_serve.http.openapi import operation_id
from sigmoid_serve.http.protocols.open_inference.errors import responses
from sigmoid_serve.http.protocols.open_inference.management.metadata import platform_of
from sigmoid_serve.http.protocols.open_inference.management.metadata_schemas import (
    ModelConfiguration,
    Reshape,
    TensorConfiguration,
)
from sigmoid_serve.http.protocols.open_inference.signature import (
    Tensor,
    find_version,
    tensors_of,
)

# The field is an int32.
_MOST_ROWS: Final = 2**31 - 1

# BYTES is the only datatype whose name is another.
_STRING: Final = {"BYTES": "STRING"}

_NO_MODEL: Final = responses(404)

router = APIRouter(
    tags=["open inference protocol"],
    generate_unique_id_function=operation_id,
    responses=responses(500, 503),
)


@router.get(
    "/v2/models/{name}/config",
    responses=_NO_MODEL,
    response_model_exclude_none=True,
)
async def model_configuration(request: Request, name: str) -> ModelConfiguration:
    """Show the configuration of a model's newest version."""
    return _configuration(request, name, None)


@router.get(
    "/v2/models/{name}/versions/{version}/config",
    responses=_NO_MODEL,
    response_model_exclude_none=True,
)
async def version_configuration(
    request: Request, name: str, version: str
) -> ModelConfiguration:
    """Show the configuration of one version of a model."""
    return _configuration(request, name, version)


def _configuration(
    request: Request, name: str, number: str | None
) -> ModelConfiguration:
    context = context_of(request)
    version = find_version(context.registry, name, number)
    has_rows = version is not None
    tensors = tensors_of(version)
    return ModelConfiguration(
        name=name,
        platform=platform_of(version),
        backend="sigmoid_serve",
        max_batch_size=min(context.settings.max_rows, _MOST_ROWS) if has_rows else 0,
        input=[_tensor(each, has_rows) for each in tensors.inputs],
        output=[_tensor(each, has_rows) for each in tensors.outputs],
        dynamic_batching={} if has_rows else None,
    )


def _tensor(tensor: Tensor, has_rows: bool) -> TensorConfiguration:
    name, datatype, shape = tensor
    dims = list(shape[1:] if has_rows else shape)
    return TensorConfiguration(
        name=name,
        data_type=f"TYPE_{_STRING.get(datatype, datatype)}",
        # A tensor has at least one dimension there, and may be reshaped to none.
        dims=dims or [1],
        reshape=None if dims else Reshape(shape=[]),
    )
