"""A handler that does nothing: what uvicorn alone costs."""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

ANSWERS = {"/livez": b"ok"}


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Read the whole body; answer `{}`, or on `/echo` the body itself."""
    chunks: list[bytes] = []
    more = True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"".join(chunks)
    answer = body if scope["path"] == "/echo" else ANSWERS.get(scope["path"], b"{}")
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(answer)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), log_level="warning", lifespan="off")
