"""The errors of a body's fields: pydantic's verdict, in the words of the protocol."""

from typing import Any, Final, Literal

from pydantic import ValidationError

from sigmoid_serve.errors import ElementError, shown
from sigmoid_serve.http.protocols.open_inference.datatypes import DATATYPES
from sigmoid_serve.http.protocols.open_inference.schemas import (
    LARGEST_SIZE,
    MOST_ID_CHARACTERS,
)
from sigmoid_serve.json.outline import outline_type_name
from sigmoid_serve.json.text import extend_pointer

_Location = tuple[str | int, ...]

# What should stand at a place; a position in a list is an asterisk.
_EXPECTED: Final = {
    "id": f"a string of at most {MOST_ID_CHARACTERS} characters",
    "inputs": "exactly one input (its name is inputs)",
    "inputs/*": "an object with name, shape, datatype and data",
    "inputs/*/name": "inputs (the name of the only input)",
    "inputs/*/shape": "a list of sizes, such as [1, 30]",
    "inputs/*/shape/*": f"a size, an integer from 0 to {LARGEST_SIZE}",
    "inputs/*/datatype": f"one of {', '.join(DATATYPES)}",
    "outputs": "a list of outputs",
    "outputs/*": "an object with the name of an output",
    "outputs/*/name": "a string, the name of an output",
}
_CODES: Final[dict[str, Literal["dtype", "unknown_field"]]] = {
    "inputs/*/name": "unknown_field",
    "inputs/*/datatype": "dtype",
}

# Their strings are shown: they are no payload.
_SHOWN: Final = ("inputs/*/name", "inputs/*/datatype")


def field_error(error: ValidationError, document: dict[str, Any]) -> ElementError:
    """Make the error of what stands first in a document, of all that pydantic found.

    Args:
        error: What it found.
        document: What it was given.
    """
    faults = error.errors(include_url=False, include_input=False)
    first: Any = min(faults, key=lambda fault: _place(fault["loc"], document))
    location: _Location = first["loc"]
    pointer = extend_pointer("", *location)
    own = first.get("ctx", {}).get("error")
    if isinstance(own, ElementError):
        # What it was found in, and the numbers so far, must not live as long as it.
        own.__traceback__ = None
        return ElementError(
            own.code,
            pointer=f"{pointer}{own.pointer}",
            expected=str(own.expected),
            got=str(own.got),
        )
    if first["type"] == "missing":
        return ElementError(
            "missing_field",
            pointer=extend_pointer("", *location[:-1]),
            expected=f"the field {location[-1]}",
            got="none",
        )
    name = "/".join("*" if isinstance(part, int) else part for part in location)
    return ElementError(
        _CODES.get(name, "malformed_request"),
        pointer=pointer,
        expected=_EXPECTED[name],
        got=_told(_value(location, document), name),
    )


def _place(location: _Location, document: Any) -> list[int]:
    """Return what sorts as the places in a document do; what is missing comes last."""
    place = []
    for part in location:
        if isinstance(part, int):
            place.append(part)
        elif part in document:
            place.append(list(document).index(part))
        else:
            return [*place, len(document)]
        document = document[part]
    return place


def _value(location: _Location, document: Any) -> Any:
    for part in location:
        document = document[part]
    return document


def _told(value: Any, name: str) -> str:
    if isinstance(value, list) and name in ("inputs", "outputs"):
        return f"a list of {len(value)}"
    if isinstance(value, str) and name == "id":
        return "a longer one"
    is_number = type(value) in (int, float)
    if is_number or (isinstance(value, str) and name in _SHOWN):
        return shown(str(value))
    return outline_type_name(value)
