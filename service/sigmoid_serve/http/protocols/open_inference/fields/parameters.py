"""The parameters of a request, of its input and of its outputs, by their names."""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, NamedTuple, get_args

from pydantic import Field, PlainValidator

from sigmoid_serve.errors import ElementError, shown
from sigmoid_serve.inference.json_types import without_default
from sigmoid_serve.json.outline import outline_type_name
from sigmoid_serve.json.text import extend_pointer

Parameter = bool | int | float | str
Parameters = Mapping[str, Any]
_PARAMETER_TYPES: Final = frozenset(get_args(Parameter))


class _Rule(NamedTuple):
    """What a parameter must be.

    Attributes:
        expected: Says it in an error.
        is_right: Tells it.
    """

    expected: str
    is_right: Callable[[Any], bool]


def _is_boolean(value: Any) -> bool:
    return type(value) is bool


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_unset(value: Any) -> bool:
    return value in (False, 0, "")


def _never(_: Any) -> bool:
    return False


_NO_SEQUENCE: Final = _Rule("no sequence, as sequences are not served", _is_unset)
_NO_SHARED_MEMORY: Final = _Rule(
    "data or binary_data_size, as shared memory is not served", _never
)
_NOT_TRITONS: Final = _Rule(
    "no parameter that starts with triton_, as none is served", _never
)
_ANY: Final = _Rule(
    "a string, a number or a boolean", lambda value: type(value) in _PARAMETER_TYPES
)

_REQUEST_RULES: Final[Mapping[str, _Rule]] = {
    "timeout": _Rule("an integer from 0 on, in microseconds", _is_count),
    "binary_data_output": _Rule("a boolean", _is_boolean),
    "sequence_id": _NO_SEQUENCE,
    "sequence_start": _NO_SEQUENCE,
    "sequence_end": _NO_SEQUENCE,
    # Clients of MLServer send an object, which nobody reads.
    "headers": _Rule("anything", lambda _: True),
}
_INPUT_RULES: Final[Mapping[str, _Rule]] = {
    "binary_data_size": _Rule("an integer from 0 on, in bytes", _is_count),
    "shared_memory_region": _NO_SHARED_MEMORY,
}
_OUTPUT_RULES: Final[Mapping[str, _Rule]] = {
    "binary_data": _Rule("a boolean", _is_boolean),
    "classification": _Rule(
        "an integer from 1 on", lambda value: _is_count(value) and value > 0
    ),
    "shared_memory_region": _Rule("data, as shared memory is not served", _never),
}


PARAMETER_NAMES: Final = frozenset().union(
    _REQUEST_RULES.keys() - {"headers"}, _INPUT_RULES, _OUTPUT_RULES
)
"""The names of those whose values are looked at."""


def _obeying(rules: Mapping[str, _Rule]) -> Callable[[Any], Parameters | None]:
    """Make what reads parameters that obey rules, and passes over others."""

    def read(value: Any) -> Parameters | None:
        if value is None:
            return None
        if type(value) is not dict:
            raise _parameter_error("", "an object", outline_type_name(value))
        for name, each in value.items():
            rule = rules.get(name, _ANY)
            if name.startswith("triton_"):
                rule = _NOT_TRITONS
            if not (each is None or rule.is_right(each)):
                is_shown = type(each) in (bool, int, float)
                got = shown(json.dumps(each)) if is_shown else outline_type_name(each)
                pointer = extend_pointer("", name)
                raise _parameter_error(pointer, rule.expected, got)
        return value

    return read


def _parameter_error(pointer: str, expected: str, got: str) -> ElementError:
    return ElementError(
        "malformed_request", pointer=pointer, expected=expected, got=got
    )


_Documented = dict[str, Parameter] | None

RequestParameters = Annotated[
    Parameters | None,
    PlainValidator(_obeying(_REQUEST_RULES), json_schema_input_type=_Documented),
    Field(
        description="Of these, `timeout` in microseconds and `binary_data_output` are "
        "read.",
        json_schema_extra=without_default,
    ),
]
InputParameters = Annotated[
    Parameters | None,
    PlainValidator(_obeying(_INPUT_RULES), json_schema_input_type=_Documented),
    Field(
        description="Of these, `binary_data_size` is read.",
        json_schema_extra=without_default,
    ),
]
OutputParameters = Annotated[
    Parameters | None,
    PlainValidator(_obeying(_OUTPUT_RULES), json_schema_input_type=_Documented),
    Field(
        description="Of these, `binary_data` and `classification` are read.",
        json_schema_extra=without_default,
    ),
]
