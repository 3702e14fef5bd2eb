"""What the server and its models are: names, versions, tensors."""

from importlib.metadata import version as version_of_package
from typing import Final

import orjson
from fastapi import APIRouter, Request

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.context import context_of
from sigmoid_serve.http.openapi import operation_id
from sigmoid_serve.http.protocols.open_inference.errors import responses
from sigmoid_serve.http.protocols.open_inference.management.metadata_schemas import (
    ModelMetadata,
    ModelNames,
    ModelReady,
    ServerMetadata,
    TensorMetadata,
)
from sigmoid_serve.http.protocols.open_inference.signature import (
    ELEMENTWISE,
    ELEMENTWISE_VERSION,
    Tensor,
    find_version,
    tensors_of,
)
from sigmoid_serve.registry.registry import ModelVersion

EXTENSIONS: Final = (
    "classification",
    "model_repository",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
)
"""Of the protocol, as Triton names them."""

_NO_MODEL: Final = responses(404)

router = APIRouter(
    tags=["open inference protocol"],
    generate_unique_id_function=operation_id,
    responses=responses(500, 503),
)


@router.get("/v2/", include_in_schema=False)
@router.get("/v2")
async def server_metadata() -> ServerMetadata:
    """Show which server this is, and which extensions of the protocol it has."""
    return ServerMetadata(
        name="sigmoid-serve",
        version=version_of_package("sigmoid-serve"),
        extensions=list(EXTENSIONS),
    )


@router.get("/v2/models")
async def model_names(request: Request) -> ModelNames:
    """List the models that are served, and the elementwise sigmoid."""
    return ModelNames(models=[*context_of(request).registry.models, ELEMENTWISE])


@router.get("/v2/models/{name}", responses=_NO_MODEL)
async def model_metadata(request: Request, name: str) -> ModelMetadata:
    """Show the tensors of a model's newest version."""
    return _metadata(request, name, None)


@router.get("/v2/models/{name}/versions/{version}", responses=_NO_MODEL)
async def version_metadata(request: Request, name: str, version: str) -> ModelMetadata:
    """Show the tensors of one version of a model."""
    return _metadata(request, name, version)


@router.get("/v2/models/{name}/ready", responses=_NO_MODEL)
async def model_ready(request: Request, name: str) -> ModelReady:
    """Answer 200 if a model's newest version answers, else 503 with the reason."""
    return _ready(request, name, None)


@router.get("/v2/models/{name}/versions/{version}/ready", responses=_NO_MODEL)
async def version_ready(request: Request, name: str, version: str) -> ModelReady:
    """Answer 200 if one version of a model answers, else 503 with the reason."""
    return _ready(request, name, version)


def platform_of(version: ModelVersion | None) -> str:
    """Name what a version is made of; None is the elementwise sigmoid."""
    return "sigmoid_serve_elementwise" if version is None else "pytorch_state_dict"


def _metadata(request: Request, name: str, number: str | None) -> ModelMetadata:
    registry = context_of(request).registry
    version = find_version(registry, name, number)
    tensors = tensors_of(version)
    return ModelMetadata(
        name=name,
        versions=list(registry.versions(name)) if version else [ELEMENTWISE_VERSION],
        platform=platform_of(version),
        inputs=list(map(_tensor, tensors.inputs)),
        outputs=list(map(_tensor, tensors.outputs)),
        properties=_properties(version) if version else {},
    )


def _ready(request: Request, name: str, number: str | None) -> ModelReady:
    version = find_version(context_of(request).registry, name, number)
    if version and version.fault:
        raise ServiceError(
            "not_ready",
            f"model {name} version {version.number} is not ready: {version.fault}",
        )
    return ModelReady(name=name)


def _tensor(tensor: Tensor) -> TensorMetadata:
    return TensorMetadata(
        name=tensor.name, datatype=tensor.datatype, shape=list(tensor.shape)
    )


def _properties(version: ModelVersion) -> dict[str, str]:
    card = version.engine.card
    properties = {"task": card.task, "sha256": version.sha256}
    for key, names in (("classes", card.classes), ("feature_names", card.features)):
        if names is not None:
            properties[key] = orjson.dumps(names).decode()
    if card.link == "softmax":
        properties["link"] = card.link
    return properties
