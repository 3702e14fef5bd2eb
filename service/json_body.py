"""Bytes of JSON to Python values, strictly and without losing a digit.

The standard library's parser is used rather than a faster one because it alone shows
what this service must judge: duplicate keys, numbers too large for a float64, and the
constants that JSON does not have (`NaN`, `Infinity`).
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from service.errors import ElementError, ServiceError


@dataclass(frozen=True)
class Constant:
    """`NaN`, `Infinity` or `-Infinity`, which some encoders write as numbers."""

    name: str


def parse_object(body: bytes) -> dict[str, Any]:
    """Parse a body whose top level must be an object.

    Every number becomes the nearest float64, integers of any length included; one that
    is too large becomes an infinity, which nothing else in the result is.

    Raises:
        ServiceError: `malformed_json`, or `rank` for lists nested beyond all measure.
    """
    try:
        document = _DECODER.decode(body.decode("utf-8"))
    except RecursionError:
        raise _too_deep(body) from None
    except UnicodeDecodeError as error:
        raise malformed(f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        what = "the body is empty" if not body.strip() else error.msg
        raise malformed(f"{what} (line {error.lineno}, column {error.colno})") from None
    if not isinstance(document, dict):
        raise malformed('the top level must be an object, such as {"inputs": [0.5]}')
    return document


def malformed(finding: str) -> ServiceError:
    """Make the error of a body that is not the JSON it should be."""
    return ServiceError("malformed_json", f"the body is not valid JSON: {finding}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise malformed("an object has the same key twice")
    for key in result:
        if not key.isascii() and any("\ud800" <= c <= "\udfff" for c in key):
            raise malformed("a key has half of a surrogate pair")
    return result


def _too_deep(body: bytes) -> ServiceError:
    """Tell a tensor of absurd rank from text that only opens brackets."""
    text = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", body)
    if text.count(b"[") != text.count(b"]") or text.count(b"{") != text.count(b"}"):
        return malformed("its brackets do not match")
    return ElementError(
        "rank",
        pointer=None,
        expected="lists nested at most 32 deep",
        got="lists nested far deeper",
    )


_DECODER = json.JSONDecoder(
    parse_int=float, parse_constant=Constant, object_pairs_hook=_object
)
