"""The errors of a body's fields: pydantic's verdict, in the words of the service."""

from collections.abc import Collection
from typing import Any, Final, Literal

from pydantic import ValidationError

from sigmoid_models.dtype import DTYPES
from sigmoid_serve.errors import ElementError, shown
from sigmoid_serve.json.lookalikes import explain_field
from sigmoid_serve.json.text import extend_pointer, json_type_name


def field_error(
    error: ValidationError, document: dict[str, Any], whole: Collection[str]
) -> ElementError:
    """Make the error of what stands first in a document, of all that pydantic found.

    Args:
        error: What it found.
        document: What it was given.
        whole: All names of the body, also of what was passed over.
    """
    order = {name: position for position, name in enumerate(document)}
    faults = error.errors(include_url=False, include_input=False)
    first = min(faults, key=lambda fault: _place(fault["loc"], order))
    return _as_element_error(first, document, whole)


def _place(loc: tuple[str | int, ...], order: dict[str, int]) -> int:
    return order.get(str(loc[0]), len(order)) if loc else len(order)


def _as_element_error(
    fault: Any, document: dict[str, Any], whole: Collection[str]
) -> ElementError:
    """Translate pydantic's verdict; our own validators' errors pass as they are."""
    own = fault.get("ctx", {}).get("error")
    if isinstance(own, ElementError):
        # What it was found in, and the numbers so far, must not live as long as it.
        own.__traceback__ = None
        if own.code == "unknown_field":
            excess = [name for name in document if name in ("inputs", "batch")][-1]
            own.pointer = extend_pointer("", excess)
        return own
    name = str(fault["loc"][0])
    if fault["type"] == "missing":
        told = (f"{each}{explain_field(each)}" for each in whole if explain_field(each))
        meant = next(told, "")
        return ElementError(
            "missing_field",
            pointer="",
            expected=f"the field {name}",
            got=f"none, but {meant}" if meant else "none",
        )
    if fault["type"] == "extra_forbidden":
        return ElementError(
            "unknown_field",
            pointer=extend_pointer("", name),
            expected="only fields that the API documentation lists",
            got=f"the field {shown(name)}{explain_field(name)}",
        )
    return ElementError(
        _FIELD_CODES.get(name, "unknown_field"),
        pointer=extend_pointer("", name),
        expected=_FIELD_VALUES.get(name, str(fault["msg"])),
        got=json_type_name(document[name]),
    )


_FIELD_CODES: Final[dict[str, Literal["dtype"]]] = {"dtype": "dtype"}
_FIELD_VALUES: Final = {"dtype": f"one of {', '.join(DTYPES)}"}
