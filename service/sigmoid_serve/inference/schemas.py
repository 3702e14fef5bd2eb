"""The request models: what validates a body, and what `/openapi.json` shows of it.

A tensor is an annotated type whose validator is `sigmoid_serve.payload.tensors`. What a
validator must know of the model and the limits comes as the validation's context, an
`ValidationContext`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Final, NamedTuple, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from sigmoid_models.dtype import FloatArray
from sigmoid_serve.errors import ElementError
from sigmoid_serve.inference.field_errors import field_error
from sigmoid_serve.inference.json_types import (
    Dtype,
    Numbers,
    RowsOrRecords,
    or_null,
    without_default,
)
from sigmoid_serve.json.body import parse_quickly, parse_strictly
from sigmoid_serve.json.text import Check, no_check
from sigmoid_serve.payload import tensors
from sigmoid_serve.payload.array_text import Tensors
from sigmoid_serve.payload.features import Features
from sigmoid_serve.payload.tensors import Reading


class ValidationContext(NamedTuple):
    """What a body is held against.

    Attributes:
        max_elements: Limit of one request, summed over a batch.
        features: Number of the model's features; for `/predict` alone.
        names: Of the features, where the model names them.
        ignores_extra: Whether unknown fields, and members of records, are passed over.
    """

    max_elements: int
    features: int = 0
    names: Sequence[str] | None = None
    ignores_extra: bool = False


# What the validators know beside the body; a plain tuple is made in less time.
_PydanticContext = tuple[ValidationContext, Reading]


class Body(BaseModel):
    """Base of the request models: unknown fields are refused, nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


def _read_features(value: Any, info: ValidationInfo) -> Features:
    limits, reading = info.context  # type: ignore[misc]
    return tensors.read_features(value, limits.features, limits.names, reading)


def _read_tensor(value: Any, info: ValidationInfo) -> FloatArray:
    dtype = info.data.get("dtype", "float64")
    context: Any = info.context
    return tensors.read_tensor(value, "/inputs", dtype, context[1])


def _read_batch(value: Any, info: ValidationInfo) -> Tensors:
    dtype = info.data.get("dtype", "float64")
    context: Any = info.context
    return tensors.read_batch(value, "/batch", dtype, context[1])


class PredictRequest(Body):
    """Rows of features, or records by feature name."""

    inputs: Annotated[
        Features,
        PlainValidator(_read_features, json_schema_input_type=RowsOrRecords),
        Field(
            description="Features in the last dimension: `(features,)` or "
            "`(..., features)`. Where the model names its features, a record or a "
            "list of records, their members in any order."
        ),
    ]


# Neither or both are wrong, and null is absence. Generators of clients pass over `not`;
# of `oneOf` with `required` they make types without fields.
_GIVEN: Final[dict[str, Any]] = {"not": {"type": "null"}}
_NOT_ONE_OF_TWO: Final[dict[str, Any]] = {
    "anyOf": [
        {
            "properties": {"inputs": _GIVEN, "batch": _GIVEN},
            "required": ["inputs", "batch"],
        },
        {"properties": {"inputs": {"type": "null"}, "batch": {"type": "null"}}},
    ]
}


class SigmoidRequest(Body):
    """One tensor as `inputs`, or several of any shapes as `batch`."""

    model_config = ConfigDict(json_schema_extra={"not": _NOT_ONE_OF_TWO})

    # First, since the validators of the tensors read it.
    dtype: Annotated[
        Dtype,
        Field(
            description="Of the computation's input and result; `float32` if absent.",
            json_schema_extra=or_null,
        ),
    ] = "float32"
    inputs: Annotated[
        FloatArray | None,
        PlainValidator(_read_tensor, json_schema_input_type=Numbers | None),
        Field(
            description="A tensor of any rank from 0 to 32; this or `batch`.",
            json_schema_extra=without_default,
        ),
    ] = None
    batch: Annotated[
        Tensors | None,
        PlainValidator(_read_batch, json_schema_input_type=list[Numbers] | None),
        Field(
            description="Tensors, each of its own shape; this or `inputs`.",
            json_schema_extra=without_default,
        ),
    ] = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        given = self.model_fields_set & {"inputs", "batch"}
        if not given:
            raise ElementError(
                "missing_field", pointer="", expected="inputs or batch", got="neither"
            )
        if len(given) == 2:
            raise ElementError(
                "unknown_field",
                pointer="",
                expected="either inputs or batch",
                got="both",
            )
        return self


BodyModel = TypeVar("BodyModel", bound=Body)


@lru_cache(2)
def _quick_reading(max_elements: int, ignores_extra: bool) -> Reading:
    return Reading(max_elements, False, no_check, ignores_extra)


def _given(
    model: type[Body], document: dict[str, Any], ignores_extra: bool
) -> dict[str, Any]:
    """Leave out the fields that are null, and unknown ones if these are passed over.

    Clients that were generated send null for an optional field that is not set.
    """
    fields = model.model_fields
    return {
        name: value
        for name, value in document.items()
        if (value is not None if name in fields else not ignores_extra)
    }


def read_quickly(
    model: type[BodyModel],
    body: bytes,
    limits: ValidationContext,
    check: Check = no_check,
) -> BodyModel | None:
    """Read a body in a fast way, if it is beyond doubt that it is right.

    Args:
        model: That the body is held against.
        body: All of it.
        limits: What else it is held against.
        check: Called again and again; it may raise, and so end it.

    Returns:
        None where there is a doubt.
    """
    document = parse_quickly(body)
    if document is None:
        return None
    most, _, _, ignores_extra = limits
    if check is no_check:
        reading = _quick_reading(most, ignores_extra)
    else:
        reading = Reading(most, False, check, ignores_extra)
    context: _PydanticContext = (limits, reading)
    valid = _valid(model, document, context)
    if valid is None:
        # Most requests have no field that is left out, so it is not looked for before.
        given = _given(model, document, ignores_extra)
        if len(given) < len(document):
            valid = _valid(model, given, context)
    return valid


def _valid(
    model: type[BodyModel], document: dict[str, Any], context: _PydanticContext
) -> BodyModel | None:
    try:
        # What `model_validate` calls, without its handling of options.
        valid: BodyModel = model.__pydantic_validator__.validate_python(
            document, context=context
        )
    except ValidationError:
        return None
    return valid


def read_strictly(
    model: type[BodyModel],
    body: bytes,
    limits: ValidationContext,
    check: Check = no_check,
) -> BodyModel:
    """Read a body in the way that says what is wrong.

    What is right gets the values that `read_quickly` gives.

    Raises:
        ServiceError: `malformed_json`.
        ElementError: The first fault in document order; what is missing comes last.
    """
    most, _, _, ignores_extra = limits
    whole = parse_strictly(body, check, model.model_fields)
    document = _given(model, whole, ignores_extra)
    context: _PydanticContext = (limits, Reading(most, True, check, ignores_extra))
    # Raised outside `except`: inside, our error and pydantic's would refer to each
    # other. The collector cannot see that cycle, so the document would never be freed;
    # nor would it with a name for the error, hence the list.
    refusals: list[ElementError] = []
    try:
        return model.model_validate(document, context=context)
    except ValidationError as error:
        refusals.append(field_error(error, document, whole))
    raise refusals.pop()
