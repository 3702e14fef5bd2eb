"""The request models: what validates a body, and what `/openapi.json` shows of it.

Unknown fields are passed over everywhere, and null is absence where a field may be
absent. What a validator must know beside the body comes as the validation's context, a
`BodyContext`. Pointers of its errors begin at the field.
"""

from functools import lru_cache
from typing import Annotated, Any, Final, Literal, NamedTuple

from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    PlainValidator,
    ValidationInfo,
)

from sigmoid_serve.errors import ElementError, shown
from sigmoid_serve.http.protocols.open_inference.datatypes import (
    DATATYPES,
    DatatypeName,
)
from sigmoid_serve.http.protocols.open_inference.fields.parameters import (
    PARAMETER_NAMES,
    InputParameters,
    OutputParameters,
    RequestParameters,
)
from sigmoid_serve.inference.json_types import Numbers, without_default
from sigmoid_serve.payload.raw import check_declared, read_declared
from sigmoid_serve.payload.tensors import Reading

MOST_ID_CHARACTERS: Final = 4096
"""Of the identifier that a client gives a request."""

LARGEST_SIZE: Final = 2**63 - 1
"""Of a dimension: what the protocol's type for it holds."""


class Expectation(NamedTuple):
    """What a request is held against.

    Attributes:
        outputs: The names of the outputs, in our order.
        features: Of the model; 0 for the elementwise sigmoid.
        max_elements: Limit of the input.
        max_rank: Limit of its dimensions.
        max_rows: Limit of its rows; None where it is not made of rows.
    """

    outputs: tuple[str, ...]
    features: int
    max_elements: int
    max_rank: int
    max_rows: int | None


BodyContext = tuple[Expectation, Reading]
"""What the validators know beside the body."""


def _check_shape(shape: list[int], info: ValidationInfo) -> tuple[int, ...] | None:
    context: Any = info.context
    # Of a tensor that cannot be read at all, that is said first.
    return _checked(tuple(shape), context[0]) if "datatype" in info.data else None


# Clients send the same few shapes again and again; errors are not kept.
@lru_cache(64)
def _checked(shape: tuple[int, ...], expected: Expectation) -> tuple[int, ...]:
    _, features, max_elements, max_rank, max_rows = expected
    check_declared(shape, "", features, max_elements, max_rank, max_rows)
    return shape


def _read_data(value: Any, info: ValidationInfo) -> NDArray[Any] | None:
    """Read flat or nested numbers, in the shape in which they came."""
    if value is None:
        return None
    context: Any = info.context
    known = info.data
    # What is wrong with datatype or shape is told there, and what is wrong here, here.
    datatype = DATATYPES[known.get("datatype", "FP64")]
    return read_declared(
        value, "", datatype.stored, datatype.dtype, known.get("shape"), context[1]
    )


def _check_name(name: str, info: ValidationInfo) -> str:
    context: Any = info.context
    names = context[0].outputs
    if name not in names:
        raise ElementError(
            "unknown_field",
            pointer="",
            expected=f"the name of an output ({', '.join(names)})",
            got=shown(name),
        )
    return name


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, arbitrary_types_allowed=True)


class InferInput(_Model):
    """The input tensor: its numbers as `data`, or its bytes behind the JSON."""

    # In this order, as a validator knows only what is before it.
    name: Literal["inputs"]
    datatype: DatatypeName
    shape: Annotated[
        list[Annotated[int, Field(ge=0, le=LARGEST_SIZE)]],
        FailFast(),
        AfterValidator(_check_shape),
        Field(description="Of a model, the last dimension is its features."),
    ]
    parameters: InputParameters = None
    data: Annotated[
        NDArray[Any] | None,
        PlainValidator(_read_data, json_schema_input_type=Numbers | None),
        Field(
            description="Numbers, in one list or nested as `shape` says; absent where "
            "the parameter `binary_data_size` says how many bytes follow the JSON.",
            json_schema_extra=without_default,
        ),
    ] = None


class InferRequestedOutput(_Model):
    """An output that is asked for."""

    name: Annotated[str, AfterValidator(_check_name)]
    parameters: OutputParameters = None


def _check_twice(
    outputs: list[InferRequestedOutput] | None,
) -> list[InferRequestedOutput] | None:
    names = [output.name for output in outputs or ()]
    for position, name in enumerate(names):
        if name in names[:position]:
            raise ElementError(
                "unknown_field",
                pointer=f"/{position}/name",
                expected="each output once",
                got=f"{shown(name)} twice",
            )
    return outputs


class InferBody(_Model):
    """A request of inference: one input, and the outputs that are wanted."""

    id: Annotated[
        str | None,
        Field(
            max_length=MOST_ID_CHARACTERS,
            description="Returned with the answer.",
            json_schema_extra=without_default,
        ),
    ] = None
    parameters: RequestParameters = None
    inputs: Annotated[list[InferInput], Field(min_length=1, max_length=1), FailFast()]
    outputs: Annotated[
        list[InferRequestedOutput] | None,
        FailFast(),
        AfterValidator(_check_twice),
        Field(
            description="All where absent or empty; answered in this order.",
            json_schema_extra=without_default,
        ),
    ] = None


KNOWN_NAMES: Final = frozenset().union(
    InferBody.model_fields,
    InferInput.model_fields.keys() - {"data"},
    InferRequestedOutput.model_fields,
    PARAMETER_NAMES,
)
"""The names of all members whose values are looked at, but `data`."""
