"""The heads of answers as bytes, and what is answered to no whole request."""

from collections.abc import Sequence
from typing import Final

from fastapi import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.errors import ServiceError
from service.ticket import Ticket

MOST_HEADER_BYTES: Final = 2**16

Message = tuple[bytes, Sequence[bytes | memoryview]]
"""The head of an answer, but for its end; and its body, in pieces."""


def long_header() -> ServiceError:
    """Make the error of a header that does not end."""
    return ServiceError(
        "body_too_large",
        f"the header is longer than {MOST_HEADER_BYTES} bytes",
        expected=f"at most {MOST_HEADER_BYTES} bytes",
        got="more",
    )


def no_http() -> ServiceError:
    """Make the error of bytes that are no request."""
    return ServiceError(
        "malformed_json",
        "the bytes are no HTTP/1.1 request; https:// and http:// are not the same",
        expected="an HTTP/1.1 request",
        got="other bytes",
    )


def message(
    status: int,
    media_type: bytes,
    pieces: Sequence[bytes | memoryview],
    request_id: str,
    ticket: Ticket,
) -> Message:
    """Write the head of an answer."""
    head = (
        b"%bcontent-type: %b\r\ncontent-length: %d\r\n"
        b"x-request-id: %b\r\nserver-timing: %b\r\n"
    ) % (
        STATUS_LINE[status],
        media_type,
        sum(map(len, pieces)),
        request_id.encode(),
        ticket.header(),
    )
    return head, pieces


def problem_message(response: Response, request_id: str, ticket: Ticket) -> Message:
    """Write the head of an error, but for what it says of the connection."""
    media_type = response.headers["content-type"].encode()
    pieces = [bytes(response.body)]
    head, _ = message(response.status_code, media_type, pieces, request_id, ticket)
    others = [
        b"%b: %b\r\n" % header
        for header in response.raw_headers
        if header[0] not in (b"content-type", b"content-length", b"connection")
    ]
    return b"".join((head, *others)), pieces
