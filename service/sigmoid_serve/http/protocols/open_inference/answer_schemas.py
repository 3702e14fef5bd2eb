"""The answer to infer: what `/openapi.json` shows of what `answering` writes."""

from typing import Annotated

from pydantic import BaseModel, Field

from sigmoid_serve.inference.json_types import left_out


class OutputParameters(BaseModel):
    """How a binary output is read."""

    binary_data_size: Annotated[int, Field(ge=0, description="Its bytes.")]


class InferOutput(BaseModel):
    """An output: its values as `data`, or as bytes behind the JSON."""

    name: str
    datatype: str
    shape: list[int]
    data: Annotated[
        list[float] | list[int] | list[str] | list[bool] | None,
        Field(
            description="In one list, whatever the shape; left out where it is binary.",
            json_schema_extra=left_out,
        ),
    ] = None
    parameters: Annotated[
        OutputParameters | None,
        Field(
            description="Left out where it is not binary.", json_schema_extra=left_out
        ),
    ] = None


class InferResponse(BaseModel):
    """What a model says of its input."""

    model_name: str
    model_version: str
    id: Annotated[
        str | None,
        Field(
            description="That of the request; left out where it had none.",
            json_schema_extra=left_out,
        ),
    ] = None
    outputs: list[InferOutput]
