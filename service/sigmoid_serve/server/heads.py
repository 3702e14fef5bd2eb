"""The heads of requests and answers as bytes, and what is answered to no request."""

from collections.abc import Sequence
from typing import Final

from fastapi import Response
from httptools import parse_url
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.headers import tokens
from sigmoid_serve.inference.media import HeaderLines

MOST_HEAD_BYTES: Final = 2**16
MOST_FIELDS: Final = 256
_HALF_PATH_BYTES: Final = 2**10

Message = tuple[bytes, Sequence[bytes | memoryview]]
"""The head of an answer, but for its end; and its body, in pieces."""


def head_bytes(url: bytes, headers: HeaderLines) -> int:
    """Count the bytes that the head of a request has at least.

    Its method, its version and spaces around values are not counted.
    """
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)


def origin_form(target: bytes, root_path: bytes) -> bytes:
    """Write a request's target as path and query, whichever form it came in.

    Args:
        target: As in the request line; see RFC 9112, section 3.2.
        root_path: Prefix that is stripped where it is there.

    Raises:
        HttpParserInvalidURLError: It is none of those forms.
    """
    if not target.startswith(b"/"):
        if target == b"*":
            return b"/"
        url = parse_url(target)
        query = b"" if url.query is None else b"?" + url.query
        target = (url.path or b"/") + query
    if root_path and target.startswith(root_path):
        rest = target[len(root_path) :]
        if rest[:1] in (b"", b"/", b"?"):
            return rest if rest.startswith(b"/") else b"/" + rest
    return target


def shortened(target: bytes) -> bytes:
    """Leave out the middle of a path that is too long to be any.

    To decode it would take the longer the longer it is, and no part of it is shown.
    """
    path, mark, query = target.partition(b"?")
    if len(path) > 2 * _HALF_PATH_BYTES:
        path = path[:_HALF_PATH_BYTES] + path[-_HALF_PATH_BYTES:]
    return path + mark + query


def without_offer(
    method: bytes, url: bytes, version: str, headers: HeaderLines
) -> bytes:
    """Write the head of a request, but for its offer of another protocol.

    A server may ignore the offer (RFC 9110, section 7.8).
    """
    lines = [b"%b %b HTTP/%b\r\n" % (method, url, version.encode())]
    for name, value in headers:
        kept = value
        if name == b"connection":
            kept = b", ".join(t for t in tokens(value) if t not in _OFFER)
        if name not in _OFFER:
            lines.append(b"%b: %b\r\n" % (name, kept))
    return b"".join((*lines, b"\r\n"))


_OFFER: Final = (b"upgrade", b"http2-settings")


def long_head() -> ServiceError:
    """Make the error of a head that is too long: request line and header."""
    return _too_long("the request line and the header are")


def long_trailer() -> ServiceError:
    """Make the error of what is too long between chunks, or behind the last."""
    return _too_long("what stands between two chunks, or behind the last, is")


def _too_long(what: str) -> ServiceError:
    return ServiceError(
        "header_too_large",
        f"{what} longer than {MOST_HEAD_BYTES} bytes or {MOST_FIELDS} fields; "
        "the connection is closed",
        expected=f"at most {MOST_HEAD_BYTES} bytes and {MOST_FIELDS} fields",
        got="more",
    )


def no_http() -> ServiceError:
    """Make the error of bytes that are no request."""
    return ServiceError(
        "malformed_request",
        "the bytes are no HTTP/1.1 request; https:// and http:// are not the same",
        expected="an HTTP/1.1 request",
        got="other bytes",
    )


def no_proxy() -> ServiceError:
    """Make the error of a request for a tunnel, which only a proxy gives."""
    return ServiceError(
        "malformed_request",
        "CONNECT is for proxies, and this is none; ask it directly (NO_PROXY)",
        expected="a request for a path",
        got="CONNECT",
    )


def message(
    status: int,
    media_type: bytes,
    pieces: Sequence[bytes | memoryview],
    state: RequestState,
) -> Message:
    """Write the head of an answer."""
    length = len(pieces[0]) if len(pieces) == 1 else sum(map(len, pieces))
    head = (
        b"%bcontent-type: %b\r\ncontent-length: %d\r\n"
        b"x-request-id: %b\r\nserver-timing: %b\r\n"
    ) % (
        STATUS_LINE[status],
        media_type,
        length,
        state.request_id.encode(),
        state.finish_server_timing(),
    )
    return head, pieces


def problem_message(response: Response, state: RequestState) -> Message:
    """Write the head of an error, but for what it says of the connection."""
    media_type = response.headers["content-type"].encode()
    pieces = [bytes(response.body)]
    head, _ = message(response.status_code, media_type, pieces, state)
    others = [
        b"%b: %b\r\n" % header
        for header in response.raw_headers
        if header[0] not in (b"content-type", b"content-length", b"connection")
    ]
    return b"".join((head, *others)), pieces
