"""The bytes of requests and answers: how they come in, and how they go out."""

from collections.abc import Mapping

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Send

from service.errors import ServiceError
from service.inference import Reply


async def read_body(
    receive: Receive, fields: Mapping[bytes, bytes], max_bytes: int
) -> bytes:
    """Read the body, and no further than its limit allows.

    FastAPI's own `max_body_size` would answer a declared length with plain text.

    Args:
        receive: Gives the body in chunks.
        fields: The header, by names in lower case.
        max_bytes: More are refused, by the declared length or as they arrive.

    Raises:
        ServiceError: `body_too_large`.
        ClientDisconnect: The client went away.
    """
    declared = fields.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(max_bytes)
    message = await receive()
    chunks: list[bytes] = []
    total = 0
    while message["type"] == "http.request":
        chunk: bytes = message.get("body", b"")
        total += len(chunk)
        if total > max_bytes:
            raise _too_large(max_bytes)
        if not message.get("more_body"):
            return b"".join((*chunks, chunk)) if chunks else chunk
        chunks.append(chunk)
        message = await receive()
    raise ClientDisconnect


def _too_large(max_bytes: int) -> ServiceError:
    return ServiceError(
        "body_too_large",
        f"the body is longer than {max_bytes} bytes (SIGMOID_MAX_BODY_BYTES)",
        expected=f"at most {max_bytes} bytes",
        got="more",
    )


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
