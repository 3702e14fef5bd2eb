"""What can go wrong with a request, in the order in which a request meets it.

    ServiceError
    ├── (keys)      key_required, key_unknown, not_admin
    ├── (routing)   route_not_found, method_not_allowed, model_not_found,
    │               version_not_found, last_model
    ├── (headers)   malformed_request, header_too_large, request_timeout,
    │               unsupported_media_type, not_acceptable, preflight_refused
    ├── (queue)     queue_full, draining, too_many_connections, timeout
    ├── (bytes)     body_too_large, malformed_json, bad_npy
    ├── (engine)    not_ready, not_finite, out_of_memory
    ├── (the rest)  internal_error
    └── ElementError
        ├── (fields)    unknown_field, missing_field, dtype
        └── (tensors)   not_a_number, ragged, rank, features, overflow,
                        too_many_elements

Nothing here knows HTTP: `sigmoid_serve.http.error_handlers` gives each code its status.
"""

from typing import Literal

from sigmoid_models.messages import one_line

Code = Literal[
    "bad_npy",
    "body_too_large",
    "draining",
    "dtype",
    "features",
    "header_too_large",
    "internal_error",
    "key_required",
    "key_unknown",
    "last_model",
    "malformed_json",
    "malformed_request",
    "method_not_allowed",
    "missing_field",
    "model_not_found",
    "not_a_number",
    "not_acceptable",
    "not_admin",
    "not_finite",
    "not_ready",
    "preflight_refused",
    "out_of_memory",
    "overflow",
    "queue_full",
    "ragged",
    "rank",
    "request_timeout",
    "route_not_found",
    "timeout",
    "too_many_connections",
    "too_many_elements",
    "unknown_field",
    "unsupported_media_type",
    "version_not_found",
]

SHOWN_CHARACTERS = 128


class ServiceError(Exception):
    """A request that is not answered as its sender hoped.

    Attributes:
        code: The reason, for programs.
        detail: The reason, for people: what was expected, what came, what to do.
        pointer: JSON Pointer (RFC 6901) to the first bad element of the body.
        expected: What would have been right there.
        got: What kind of thing was there; never the payload itself.
        retry_after: Seconds after which to ask again, where that may help.
        accept_encoding: Content codings of a body that are read, where another came.
    """

    retry_after: int | None = None
    accept_encoding: str | None = None

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        pointer: str | None = None,
        expected: str | None = None,
        got: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.code: Code = code
        self.detail = detail
        self.pointer = pointer
        self.expected = expected
        self.got = got


class ElementError(ServiceError, ValueError):
    """An element of the body that is not what it should be.

    A `ValueError` too, so that pydantic takes it for the verdict of a validator.
    """

    def __init__(
        self, code: Code, *, pointer: str | None, expected: str, got: str
    ) -> None:
        where = f" at {pointer}" if pointer else ""
        super().__init__(
            code,
            f"expected {expected}{where}, got {got}",
            pointer=pointer,
            expected=expected,
            got=got,
        )


class Expired(ServiceError):
    """A request that has waited, or was waited for, too long, and is not computed.

    Attributes:
        stage: In which it was found out.
    """

    def __init__(self, stage: str, detail: str, code: Code = "timeout") -> None:
        super().__init__(code, detail)
        self.stage = stage


class Abandoned(Exception):
    """A request whose client has gone away; it is not computed, nor answered.

    Attributes:
        stage: In which it was found out.
    """

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.stage = stage


def shown(text: str) -> str:
    """Make text from outside safe to show: printable, encodable and bounded."""
    visible = one_line(text[: SHOWN_CHARACTERS + 1])
    if len(visible) <= SHOWN_CHARACTERS:
        return visible
    return visible[: SHOWN_CHARACTERS - 1] + "…"
