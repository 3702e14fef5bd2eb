"""What a call can raise: one class for each way to react, whatever the code is."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

# How much is shown of an answer that is not the service's.
_SHOWN_CHARACTERS: Final = 200


class SigmoidServeError(Exception):
    """Why a call has no result.

    Attributes:
        detail: The reason: what was expected, what came, where.
        code: The reason for programs, as the server or this client names it.
        status: Of the HTTP answer; None where there was none.
        pointer: JSON Pointer to the first bad element, such as `/inputs/3/mean radius`.
        expected: What would have been right there.
        got: What was there.
        hint: How to put it right in terms of this client.
        request_id: Of the request, for the server's log.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        status: int | None = None,
        pointer: str | None = None,
        expected: str | None = None,
        got: str | None = None,
        hint: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.pointer = pointer
        self.expected = expected
        self.got = got
        self.hint = hint
        self.request_id = request_id

    def __str__(self) -> str:
        named = f"{self.detail} ({self.code})" if self.code else self.detail
        return f"{named}\nhint: {self.hint}" if self.hint else named


class InvalidInputError(SigmoidServeError):
    """The input is not what the model takes, or more than the server takes."""


class AuthenticationError(SigmoidServeError):
    """The server asks for a key, or for another one."""


class NotFoundError(SigmoidServeError):
    """There is no such model, version or path."""


class OverloadedError(SigmoidServeError):
    """The server's queue was full, at each try."""


class UnavailableError(SigmoidServeError):
    """The server could not answer yet, or no more, at each try."""


class DeadlineExceededError(SigmoidServeError):
    """There was no result in time."""


class ServerError(SigmoidServeError):
    """The server failed, or what answered is not this service."""


class ConnectionFailedError(SigmoidServeError):
    """No server could be reached, or it was lost, at each try."""


_CLASSES: Final[dict[int, type[SigmoidServeError]]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    405: NotFoundError,
    408: DeadlineExceededError,
    429: OverloadedError,
    503: UnavailableError,
    504: DeadlineExceededError,
}

# What stands in front of a server answers these in its own words.
_FOREIGN: Final[dict[int, type[SigmoidServeError]]] = {
    413: InvalidInputError,
    429: OverloadedError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}

_TOO_LARGE: Final = (
    "one row alone is beyond this limit, and cannot be split; raise the limit of the "
    "server, or send less of it"
)
_MODELS: Final = "client.models() lists the models that are served, and their versions"

HINTS: Final[dict[str, str]] = {
    "body_too_large": _TOO_LARGE,
    "draining": "the server ends; call again once another one is there",
    "features": "client.card() lists the features of the model, in their order; "
    "frame.to_numpy() passes the columns of a frame by their places",
    "key_required": "pass the key: Client(..., key=...)",
    "key_unknown": "check the key that was passed: Client(..., key=...)",
    "missing_field": "pass rows or values; None is nothing",
    "model_not_found": _MODELS,
    "not_a_number": "convert it to a number, or leave the row out; nothing is coerced",
    "not_admin": "pass the key of an admin: Client(..., key=...)",
    "not_ready": "client.ready() tells when it is; the server's log says why it is not",
    "out_of_memory": "send fewer rows in one call",
    "overflow": "check the unit of this number, or ask for a wider dtype",
    "queue_full": "send less at once, or pass more retries or a longer timeout",
    "ragged": "all rows must have the same shape",
    "rank": "a row is a list of numbers; wrap a single number, [x]",
    "route_not_found": "check the address passed to Client, with the prefix of a proxy",
    "timeout": "the server is too slow or too busy: call again, with fewer rows",
    "too_many_elements": _TOO_LARGE,
    "version_not_found": _MODELS,
}
"""How to put right what the server names by a code."""


def invalid(
    code: str,
    detail: str,
    hint: str,
    *,
    pointer: str | None = None,
    expected: str | None = None,
    got: str | None = None,
) -> InvalidInputError:
    """Make the error of an input that is not even sent."""
    return InvalidInputError(
        detail, code=code, hint=hint, pointer=pointer, expected=expected, got=got
    )


def error_of(
    status: int, headers: Mapping[str, str], content: bytes
) -> SigmoidServeError | None:
    """Read an answer's error; None where it has none.

    Args:
        status: Of the answer.
        headers: By names in any case.
        content: The body, a problem document (RFC 9457) if the service wrote it.
    """
    if 200 <= status < 300:
        return None
    problem = _problem(headers, content)
    if problem is None:
        return _foreign(status, headers, content)
    fallback = InvalidInputError if status < 500 else ServerError
    texts = {
        name: problem[name]
        for name in ("pointer", "expected", "got", "request_id")
        if isinstance(problem.get(name), str)
    }
    code = str(problem["code"])
    return _CLASSES.get(status, fallback)(
        str(problem.get("detail", "")),
        code=code,
        status=status,
        hint=HINTS.get(code),
        **texts,
    )


def _problem(headers: Mapping[str, str], content: bytes) -> dict[str, Any] | None:
    if not headers.get("content-type", "").startswith("application/problem+json"):
        return None
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    is_problem = isinstance(document, dict) and "code" in document
    return document if is_problem else None


def _foreign(
    status: int, headers: Mapping[str, str], content: bytes
) -> SigmoidServeError:
    """Make the error of an answer that is not the service's own."""
    media = headers.get("content-type", "no type")[:_SHOWN_CHARACTERS]
    text = content[: 4 * _SHOWN_CHARACTERS].decode("utf-8", "replace")
    shown = " ".join(text.split())[:_SHOWN_CHARACTERS]
    hint = "is there a sigmoid-serve at this address? A proxy in front may have said it"
    if "location" in headers:
        place = headers["location"][:_SHOWN_CHARACTERS]
        hint = f"redirects are not followed; Client may be meant to be at {place!r}"
    return _FOREIGN.get(status, ServerError)(
        f"the answer is {status} with {media}, and not the service's: {shown!r}",
        status=status,
        hint=hint,
        request_id=headers.get("x-request-id"),
    )


def moved(
    error: InvalidInputError, start: int, stop: int, count: int
) -> InvalidInputError:
    """Tell of an error where it stands in all of the input.

    Args:
        error: Of a part of it.
        start: First row of the part.
        stop: Row behind the last one.
        count: All rows.
    """
    if stop - start == count:
        return error
    if error.pointer is None:
        last = stop - 1
        place = f"row {start}" if start == last else f"rows {start} to {last}"
        error.detail += f", in {place}"
        return error
    before, sep, after = error.pointer.removeprefix("/inputs/").partition("/")
    if before.isdigit():
        pointer = f"/inputs/{int(before) + start}{sep}{after}"
        error.detail = error.detail.replace(error.pointer, pointer, 1)
        error.pointer = pointer
    return error
