"""What a request is written in, and what its answer shall be written in."""

from functools import lru_cache
from typing import Final, Literal

from service.errors import ServiceError, shown

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

_ACCEPTED: dict[str, Media] = {
    JSON: "json",
    "application/*": "json",
    "*/*": "json",
    NPY: "npy",
}


@lru_cache(_CACHED)
def request_encoding(content_encoding_header: bytes | None) -> Encoding | None:
    """Read `Content-Encoding`; None where the body is sent as it is.

    Raises:
        ServiceError: `unsupported_media_type`.
    """
    name = _text(content_encoding_header)
    if name is None:
        return None
    if name.strip().lower() not in _ENCODINGS:
        expected = "Content-Encoding gzip, deflate or none"
        raise _unsupported(f"Content-Encoding {shown(name)}", expected)
    return _ENCODINGS[name.strip().lower()]


@lru_cache(_CACHED)
def request_media(content_type_header: bytes | None) -> Media:
    """Read `Content-Type`; JSON where it is absent.

    Raises:
        ServiceError: `unsupported_media_type`.
    """
    content_type = _text(content_type_header)
    if content_type is None:
        return "json"
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
    """Read `Accept`: of what it takes and we have, the highest `q`, then the first.

    Raises:
        ServiceError: `not_acceptable`.
    """
    accept = _text(accept_header)
    best: Media | None = None
    best_quality = 0.0
    for item in (accept or "*/*").split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = _quality(parameters)
        if name in _ACCEPTED and quality > best_quality:
            best, best_quality = _ACCEPTED[name], quality
    if best is None:
        raise ServiceError(
            "not_acceptable",
            f"the answer can be {JSON} or {NPY}, but Accept allows neither",
            expected=f"{JSON} or {NPY}",
            got=shown(accept or ""),
        )
    return best


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _unsupported(got: str, expected: str) -> ServiceError:
    return ServiceError(
        "unsupported_media_type",
        f"expected {expected}, got {got}; "
        f"with curl, add -H 'Content-Type: {JSON}' or -H 'Content-Type: {NPY}'",
        expected=expected,
        got=got,
    )
