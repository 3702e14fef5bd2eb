"""The bytes of requests and answers: how they come in, and how they go out."""

import asyncio
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from starlette.types import Receive, Send

from sigmoid_serve.admission.request_state import Ticket
from sigmoid_serve.errors import Abandoned, Expired, ServiceError
from sigmoid_serve.inference.media import Encoding
from sigmoid_serve.inference.request import Reply

# Window sizes of zlib's `inflateInit2`: for gzip (RFC 1952) and for zlib (RFC 1950).
_WINDOWS: Final[dict[Encoding, int]] = {"gzip": 31, "deflate": 15}
_INFLATED_STEP: Final = 2**20
_FIRST_STEP: Final = 2**8

# Deflate makes no more of a byte: https://zlib.net/zlib_tech.html.
_MOST_INFLATION: Final = 1032


async def read_body(
    receive: Receive,
    fields: Mapping[bytes, bytes],
    max_bytes: int,
    max_seconds: float,
    ticket: Ticket,
) -> bytes:
    """Read the body, and no further than its limit and the queue allow.

    FastAPI's own `max_body_size` would answer a declared length with plain text.

    Args:
        receive: Gives the body in chunks.
        fields: The header, by names in lower case.
        max_bytes: More are refused, by the declared length or as they arrive.
        max_seconds: A body that takes longer to arrive is given up.
        ticket: Counts what has arrived.

    Raises:
        ServiceError: `body_too_large` or `queue_full`.
        Expired: The body did not arrive in time.
        Abandoned: The client went away.
    """
    declared = fields.get(b"content-length", b"0")
    length = int(declared) if declared.isdigit() else 0
    if length > max_bytes:
        raise _too_large(max_bytes)
    queue = ticket.queue
    queue.check(queue.most(length))
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
                held = queue.most(total)
                if not message.get("more_body"):
                    queue.check(held - ticket.elements)
                    ticket.settle(held)
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
                queue.check_arriving(held - ticket.elements)
                ticket.hold(held)
                message = await receive()
    except TimeoutError:
        raise slow_body(max_seconds) from None
    raise Abandoned("body")


def slow_body(max_seconds: float) -> Expired:
    """Make the error of a body that does not arrive in time."""
    return Expired(
        "body",
        f"the body did not arrive within {max_seconds:g} s (SIGMOID_BODY_SECONDS); "
        "the connection is closed",
        "request_timeout",
    )


def slow_header(max_seconds: float) -> Expired:
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
        inflater = zlib.decompressobj(_WINDOWS[encoding])
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


async def send_reply(
    reply: Reply, headers: list[tuple[bytes, bytes]], send: Send
) -> None:
    """Send an answer, piece by piece, with its own headers and those given."""
    pieces = reply.pieces
    length = len(pieces[0]) if len(pieces) == 1 else sum(map(len, pieces))
    headers += (
        (b"content-type", reply.media_type.encode()),
        (b"content-length", b"%d" % length),
    )
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    last = len(pieces) - 1
    for position, piece in enumerate(pieces):
        more = position < last
        await send({"type": "http.response.body", "body": piece, "more_body": more})
