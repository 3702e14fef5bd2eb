"""The response models and the query's: what `/openapi.json` shows.

Responses to inference are written by `sigmoid_serve.payload.json_answer`; their models
here say what they hold.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from sigmoid_serve.inference.json_types import Dtype, Labels, Numbers, Rows, left_out
from sigmoid_serve.inference.schemas import Body
from sigmoid_serve.repository.load_problems import MOST_LISTED


class PredictQuery(Body):
    """Which of the two arrays an `.npy` answer holds."""

    output: Annotated[
        Literal["probabilities", "logits"],
        Field(
            description="Which array an answer as `.npy` holds: `probabilities` or "
            "`logits`. An answer as JSON has both."
        ),
    ] = "probabilities"


class PredictResponse(BaseModel):
    """The network's answer, with the shape of the rows it was asked about."""

    model: str
    version: str
    logits: Annotated[Rows, Field(description="`(..., classes)`; of the network.")]
    probabilities: Annotated[
        Rows,
        Field(
            description="`sigmoid(logits / temperature)`, element by element; where "
            "there is a `link`, the softmax of `logits / temperature` over the classes."
        ),
    ]
    labels: Annotated[
        Labels, Field(description="`(...)`, or `(..., classes)` for multilabel models.")
    ]
    shape: Annotated[list[int], Field(description="Of `logits`.")]
    classes: Annotated[
        list[str] | None,
        Field(
            description="What each place of the last dimension is the probability of; "
            "left out where the model does not name its classes.",
            json_schema_extra=left_out,
        ),
    ] = None
    link: Annotated[
        Literal["softmax"] | None,
        Field(
            description="What made the probabilities; left out if it is the sigmoid.",
            json_schema_extra=left_out,
        ),
    ] = None


class SigmoidResponse(BaseModel):
    """The sigmoid of one tensor."""

    outputs: Numbers
    shape: list[int]
    dtype: Dtype


class SigmoidBatchResponse(BaseModel):
    """The sigmoid of several tensors."""

    batch: list[Numbers]
    shapes: list[list[int]]
    dtype: Dtype


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: Annotated[str, Field(description="`urn:sigmoid-serve:CODE`")]
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    pointer: Annotated[
        str | None,
        Field(
            description="JSON Pointer to the first bad element.",
            json_schema_extra=left_out,
        ),
    ] = None
    expected: Annotated[str | None, Field(json_schema_extra=left_out)] = None
    got: Annotated[str | None, Field(json_schema_extra=left_out)] = None


class ServedModel(BaseModel):
    """One model of the list."""

    name: str
    version: Annotated[str, Field(description="The newest, served by default.")]
    versions: list[str]
    state: Annotated[Literal["ready", "failed"], Field(description="Of `version`.")]
    device: str


class PassedOver(BaseModel):
    """What was found in a folder and is not served."""

    name: Annotated[str, Field(description="Of the model, as its file or folder.")]
    version: Annotated[
        str | None, Field(description="Null where it is about the whole model.")
    ]
    reason: Annotated[str, Field(description="What was found, and what to do.")]


class ModelList(BaseModel):
    """All models, and the one that `/predict` asks."""

    default: str
    models: list[ServedModel]
    passed_over: Annotated[
        list[PassedOver],
        Field(
            description="What was found in a folder and cannot be served; left out "
            f"where there is nothing. At most {MOST_LISTED}.",
            json_schema_extra=left_out,
        ),
    ] = []
    more_passed_over: Annotated[
        int,
        Field(
            description="How many more there are; left out where none.",
            json_schema_extra=left_out,
        ),
    ] = 0


class ReloadResponse(BaseModel):
    """What serves after a reload."""

    model: str
    version: Annotated[str, Field(description="The newest, served by default.")]


class Health(BaseModel):
    """The answer of a probe."""

    status: Literal["ok", "unavailable"]
    reasons: Annotated[
        list[str] | None,
        Field(
            description="Why no request should come here; and what was found in a "
            "folder and is not served, which alone makes no 503.",
            json_schema_extra=left_out,
        ),
    ] = None
