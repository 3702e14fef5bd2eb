"""What a request is written in, and what its answer shall be written in."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Literal

from sigmoid_serve.errors import ServiceError, shown

HeaderLines = Sequence[tuple[bytes, bytes]]
"""Names in lower case, and values, in the order in which they came."""

Media = Literal["json", "npy"]
Encoding = Literal["gzip", "deflate"]

JSON = "application/json"
NPY = "application/x-npy"
MEDIA_TYPES: dict[Media, str] = {"json": JSON, "npy": NPY}

# Clients send the same few headers again and again.
_CACHED: Final = 64

_ENCODINGS: dict[str, Encoding | None] = {
    "": None,
    "identity": None,
    "gzip": "gzip",
    "x-gzip": "gzip",
    "deflate": "deflate",
}

# More in a row than anybody sends on purpose.
_MOST_ENCODINGS: Final = 2

# Commas and semicolons of a field; browsers send about a dozen.
_MOST_PARTS: Final = 200

# The ranges that have a type, the most specific first (RFC 9110, section 12.5.1).
_RANGES: dict[Media, tuple[str, ...]] = {
    "json": (JSON, "application/*", "*/*", "*"),
    "npy": (NPY, "*/*", "*"),
}

# Java's HttpURLConnection writes `*; q=.2`.
_WEIGHT: Final = re.compile(r"0(\.[0-9]*)?|\.[0-9]+|1(\.0*)?")


@lru_cache(_CACHED)
def request_encodings(content_encoding_header: bytes | None) -> tuple[Encoding, ...]:
    """Read `Content-Encoding`: in the order in which they were applied.

    Raises:
        ServiceError: `unsupported_media_type`.
    """
    text = _text(content_encoding_header) or ""
    if _has_too_many_parts(text):
        raise _unsupported_encoding(shown(text), f"{_MOST_PARTS} codings at most")
    names = [name.strip().lower() for name in text.split(",")]
    encodings = [_ENCODINGS[name] for name in names if name in _ENCODINGS]
    found = tuple(encoding for encoding in encodings if encoding)
    if len(encodings) < len(names) or len(found) > _MOST_ENCODINGS:
        raise _unsupported_encoding(shown(text), "gzip, deflate or none")
    return found


@lru_cache(_CACHED)
def request_media(content_type_header: bytes | None) -> Media:
    """Read `Content-Type`; JSON where it is absent or empty.

    Raises:
        ServiceError: `unsupported_media_type`.
    """
    content_type = (_text(content_type_header) or "").strip()
    if not content_type:
        return "json"
    if _has_too_many_parts(content_type):
        raise _unsupported(shown(content_type), f"{_MOST_PARTS} parameters at most")
    name, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if name == NPY:
        return "npy"
    if name != JSON:
        raise _unsupported(shown(content_type), f"{JSON} or {NPY}")
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "charset" and value.strip(' "') not in ("utf-8", "utf8"):
            raise _unsupported(shown(content_type), "charset utf-8")
    return "json"


@lru_cache(_CACHED)
def answer_media(accept_header: bytes | None) -> Media:
    """Read `Accept`: of what we have, what is wanted most; of equals the first named.

    What a range says that names a type counts, whatever `*/*` says of it.

    Raises:
        ServiceError: `not_acceptable`.
    """
    accept = (_text(accept_header) or "").strip() or "*/*"
    weights = read_weights(accept)
    if weights is None:
        raise ServiceError(
            "not_acceptable",
            f"Accept may have {_MOST_PARTS} ranges and parameters, this one has more",
            expected=f"at most {_MOST_PARTS} ranges and parameters",
            got="more",
        )
    wanted: dict[tuple[float, int], Media] = {}
    for media, ranges in _RANGES.items():
        weight = next((weights[name] for name in ranges if name in weights), (0.0, 0))
        if weight[0]:
            wanted.setdefault(weight, media)
    if not wanted:
        raise ServiceError(
            "not_acceptable",
            f"the answer can be {JSON} or {NPY}, but Accept allows neither",
            expected=f"{JSON} or {NPY}",
            got=shown(accept),
        )
    return wanted[max(wanted)]


def read_weights(text: str) -> dict[str, tuple[float, int]] | None:
    """Read what is accepted: names, each with a weight (RFC 9110, section 12.4.2).

    Returns:
        For each name, in lower case, its weight from 0 to 1, and then a number that is
        the greater, the earlier it stands. What is no weight counts as 0. None where
        more is named than anybody would on purpose.
    """
    if _has_too_many_parts(text):
        return None
    weights: dict[str, tuple[float, int]] = {}
    for position, item in enumerate(text.split(",")):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        weights.setdefault(name, (_weight(parameters), -position))
    return weights


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


def _has_too_many_parts(text: str) -> bool:
    return text.count(",") + text.count(";") > _MOST_PARTS


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            return float(value) if _WEIGHT.fullmatch(value.strip()) else 0.0
    return 1.0


def _unsupported(got: str, expected: str) -> ServiceError:
    return ServiceError(
        "unsupported_media_type",
        f"expected {expected}, got {got}; "
        f"with curl, add -H 'Content-Type: {JSON}' or -H 'Content-Type: {NPY}'",
        expected=expected,
        got=got,
    )


def _unsupported_encoding(name: str, codings: str) -> ServiceError:
    expected, got = f"Content-Encoding {codings}", f"Content-Encoding {name}"
    error = ServiceError(
        "unsupported_media_type",
        f"expected {expected}, got {got}",
        expected=expected,
        got=got,
    )
    error.accept_encoding = "gzip, deflate"
    return error
