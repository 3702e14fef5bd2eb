"""The answers about the server and its models: what `/openapi.json` shows."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class ServerLive(BaseModel):
    """The process is alive."""

    live: Literal[True] = True


class ServerReady(BaseModel):
    """Requests should be sent here."""

    live: Literal[True] = True
    ready: Literal[True] = True


class ServerMetadata(BaseModel):
    """The server, and which extensions of the protocol it has."""

    name: str
    version: str
    extensions: list[str]


class ModelNames(BaseModel):
    """The models that are served."""

    models: list[str]


class ModelReady(BaseModel):
    """A model that answers."""

    name: str
    ready: Literal[True] = True


class TensorMetadata(BaseModel):
    """An input or an output of a model."""

    name: str
    datatype: str
    shape: Annotated[
        list[int], Field(description="With -1 for a dimension of any size.")
    ]


class ModelMetadata(BaseModel):
    """A model, its versions and its tensors."""

    name: str
    versions: Annotated[list[str], Field(description="The newest first.")]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    properties: Annotated[
        dict[str, str],
        Field(
            description="`task`, `sha256` of the checkpoint; where known `classes` and "
            "`feature_names` as the JSON of a list; `link` if it is the softmax."
        ),
    ]


class Reshape(BaseModel):
    """A shape without the dimension of the rows."""

    shape: list[int]


class TensorConfiguration(BaseModel):
    """An input or an output of a model."""

    name: str
    data_type: Annotated[str, Field(description="`TYPE_` and the datatype.")]
    dims: Annotated[list[int], Field(description="Without the dimension of the rows.")]
    reshape: Reshape | None = None


class VersionPolicy(BaseModel):
    """Which versions are served: all of them."""

    all: dict[str, str] = {}


class ModelConfiguration(BaseModel):
    """A model as Triton's `ModelConfig` describes it."""

    name: str
    platform: str
    backend: str
    version_policy: VersionPolicy = VersionPolicy()
    max_batch_size: Annotated[
        int, Field(description="Most rows of a request; 0 where there are no rows.")
    ]
    input: list[TensorConfiguration]
    output: list[TensorConfiguration]
    dynamic_batching: Annotated[
        dict[str, str] | None,
        Field(description="There where rows of several requests are batched."),
    ] = None


class Duration(BaseModel):
    """How often something happened, and how long it took in all."""

    count: int
    ns: Annotated[int, Field(description="Nanoseconds.")]


class InferenceStatistics(BaseModel):
    """Requests to a version. The stages have those that succeeded."""

    success: Duration
    fail: Duration
    queue: Duration
    compute_input: Annotated[Duration, Field(description="To read the body.")]
    compute_infer: Duration
    compute_output: Annotated[Duration, Field(description="To write the answer.")]
    cache_hit: Duration
    cache_miss: Duration


class VersionStatistics(BaseModel):
    """What all workers have counted of a version since the service started."""

    name: str
    version: str
    last_inference: Annotated[
        int, Field(description="Milliseconds since 1970; 0 before the first.")
    ]
    inference_count: Annotated[int, Field(description="Rows that were computed.")]
    execution_count: Annotated[int, Field(description="Batches of them.")]
    inference_stats: InferenceStatistics
    response_stats: Annotated[
        dict[str, str], Field(description="Of streams, which there are none of.")
    ] = {}
    batch_stats: Annotated[
        list[str], Field(description="By size, which is not counted.")
    ] = []
    memory_usage: Annotated[
        list[str], Field(description="Of each version, which is not measured.")
    ] = []


class Statistics(BaseModel):
    """The statistics of one version or more."""

    model_stats: list[VersionStatistics]
