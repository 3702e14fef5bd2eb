"""The bytes of a request's body: how they come in, and how they are decompressed."""

import asyncio
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from starlette.types import Receive

from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.errors import Abandoned, Expired, ServiceError
from sigmoid_serve.inference.media import Encoding

WINDOWS: Final[dict[Encoding, int]] = {"gzip": 31, "deflate": 15}
"""Window sizes as zlib has them: for gzip (RFC 1952) and for zlib (RFC 1950)."""

_INFLATED_STEP: Final = 2**20
_FIRST_STEP: Final = 2**8

# Deflate makes no more of a byte: https://zlib.net/zlib_tech.html.
_MOST_INFLATION: Final = 1032


async def receive_body(
    receive: Receive,
    headers: Mapping[bytes, bytes],
    max_bytes: int,
    max_seconds: float,
    state: RequestState,
) -> bytes:
    """Receive the body, as far as its limit and the in-flight limit allow.

    FastAPI's own `max_body_size` would answer a declared length with plain text.

    Args:
        receive: Gives the body in chunks.
        headers: By names in lower case.
        max_bytes: More are refused, by the declared length or as they arrive.
        max_seconds: A body that takes longer to arrive is given up.
        state: Counts what has arrived.

    Raises:
        ServiceError: `body_too_large` or `queue_full`.
        Expired: The body did not arrive in time.
        Abandoned: The client went away.
    """
    declared = headers.get(b"content-length", b"0")
    length = int(declared) if declared.isdigit() else 0
    if length > max_bytes:
        raise _too_large(max_bytes)
    admission = state.admission
    admission.check(admission.most(length))
    chunks: list[bytes] = []
    total = 0
    try:
        async with asyncio.timeout(max_seconds):
            message = await receive()
            while message["type"] == "http.request":
                chunks.append(message.get("body", b""))
                total += len(chunks[-1])
                if total > max_bytes:
                    raise _too_large(max_bytes)
                held = admission.most(total)
                if not message.get("more_body"):
                    state.reserve(held)
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
                state.reserve_arriving(held)
                message = await receive()
    except TimeoutError:
        raise body_timeout_error(max_seconds) from None
    raise Abandoned("body")


def body_timeout_error(max_seconds: float) -> Expired:
    """Make the error of a body that does not arrive in time."""
    return Expired(
        "body",
        f"the body did not arrive within {max_seconds:g} s (SIGMOID_BODY_SECONDS); "
        "the connection is closed",
        "request_timeout",
    )


def header_timeout_error(max_seconds: float) -> Expired:
    """Make the error of a header that does not arrive in time."""
    return Expired(
        "header",
        f"the header did not arrive within {max_seconds:g} s "
        "(SIGMOID_HEADER_SECONDS); the connection is closed",
        "request_timeout",
    )


def _too_large(max_bytes: int) -> ServiceError:
    return ServiceError(
        "body_too_large",
        f"the body is longer than {max_bytes} bytes (SIGMOID_MAX_BODY_BYTES)",
        expected=f"at most {max_bytes} bytes",
        got="more",
    )


def most_inflated(body: bytes, max_bytes: int) -> int:
    """Say how long a body can be once it is decompressed, of what is allowed."""
    return min(max_bytes, _MOST_INFLATION * len(body))


def inflate(
    body: bytes, encoding: Encoding, max_bytes: int, check: Callable[[], None]
) -> bytes:
    """Decompress a body, and no further than its limit.

    Args:
        body: All of it. gzip may have several members in a row (RFC 1952, section 2.2),
            and zeros after them, as tapes have.
        encoding: As `Content-Encoding` names it (RFC 9110, section 8.4.1).
        max_bytes: More are refused.
        check: Called again and again; it may raise, and so end it.

    Raises:
        ServiceError: `body_too_large`, or `malformed_json` for bytes that are not of
            that encoding.
    """
    parts: list[bytes] = []
    total = 0
    try:
        for part in _inflated(body, encoding):
            check()
            total += len(part)
            if total > max_bytes:
                raise ServiceError(
                    "body_too_large",
                    f"the body is longer than {max_bytes} bytes once it is "
                    "decompressed (SIGMOID_MAX_INFLATED_BYTES)",
                    expected=f"at most {max_bytes} bytes",
                    got="more",
                )
            parts.append(part)
    except zlib.error:
        raise ServiceError(
            "malformed_json",
            f"the body is not a whole {encoding} stream, as Content-Encoding says",
            expected=f"a whole {encoding} stream",
            got="other bytes",
        ) from None
    return b"".join(parts)


def _inflated(body: bytes, encoding: Encoding) -> Iterator[bytes]:
    """Decompress piece by piece.

    Raises:
        zlib.error: The bytes are not of that encoding, or end too early.
    """
    start = 0
    while True:
        inflater = zlib.decompressobj(WINDOWS[encoding])
        # What follows a member is copied each time: little of it after a short one.
        step, rest = _FIRST_STEP, b""
        while not inflater.eof:
            if not rest:
                rest = body[start : start + step]
                start += len(rest)
                step = min(2 * step, _INFLATED_STEP)
                if not rest:
                    raise zlib.error
            yield inflater.decompress(rest, _INFLATED_STEP)
            rest = inflater.unconsumed_tail
        start -= len(inflater.unused_data)
        if start == len(body):
            return
        if encoding != "gzip" or not body[start]:
            break
    if encoding != "gzip" or body[start:].strip(b"\0"):
        raise zlib.error
