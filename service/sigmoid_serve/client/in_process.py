"""An application of ASGI in this process, called without a socket."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from contextlib import ExitStack
from threading import Thread, get_ident
from typing import Any, Final, TypeVar

import httpx
from anyio.from_thread import start_blocking_portal

from sigmoid_serve.client.errors import UnavailableError

Result = TypeVar("Result")
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
"""What any ASGI server runs, such as what `create_app` returns."""

ADDRESS: Final = "http://in-process"


class InProcess(httpx.AsyncBaseTransport):
    """Calls an application, which starts before its first request and ends at the end.

    Args:
        app: What is called.
    """

    def __init__(self, app: Application) -> None:
        self._app = app
        self._requests = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._lock = asyncio.Lock()
        self._lifespan: _Lifespan | None = None

    async def __aenter__(self) -> "InProcess":
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        await self._start()
        return await self._requests.handle_async_request(request)

    async def aclose(self) -> None:
        """End the application."""
        lifespan, self._lifespan = self._lifespan, None
        if lifespan:
            await lifespan.end()

    async def _start(self) -> None:
        if self._lifespan:
            return
        async with self._lock:
            if not self._lifespan:
                lifespan = _Lifespan(self._app)
                await lifespan.start()
                self._lifespan = lifespan


class _Lifespan:
    """The start and the end of an application, in a task of its own.

    Args:
        app: It may have none of them, which the specification allows.
    """

    def __init__(self, app: Application) -> None:
        self._app = app
        self._asked: asyncio.Queue[Message] = asyncio.Queue()
        self._told: asyncio.Queue[Message] = asyncio.Queue()

    async def start(self) -> None:
        """Start it.

        Raises:
            UnavailableError: It says that it cannot.
        """
        self._task = asyncio.create_task(self._run())
        told = await self._ask("startup")
        if told and told["type"].endswith(".failed"):
            await self._task
            raise UnavailableError(
                f"the application did not start: {told.get('message', '')[:1000]}",
                code="not_started",
                hint="what it says of its settings or models must be put right",
            )

    async def end(self) -> None:
        """Let it end."""
        if not self._task.done():
            await self._ask("shutdown")
            await self._task

    async def _ask(self, what: str) -> Message | None:
        """Ask for the next step; None where the application has no such steps."""
        self._asked.put_nowait({"type": f"lifespan.{what}"})
        told = asyncio.create_task(self._told.get())
        await asyncio.wait([told, self._task], return_when=asyncio.FIRST_COMPLETED)
        if told.done():
            return told.result()
        told.cancel()
        return None

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        try:
            await self._app(scope, self._asked.get, self._told.put)
        except Exception:
            # It knows no lifespan; what else is wrong with it, its requests will tell.
            return


class LoopThread:
    """An event loop on a thread of its own, for callers that have none."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._portal = self._stack.enter_context(start_blocking_portal())
        self._thread = self._portal.call(get_ident)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do something in the loop, and wait for it.

        Raises:
            RuntimeError: The loop has ended.
        """

        async def do() -> Result:
            return await work

        try:
            future = self._portal.start_task_soon(do)
        except RuntimeError:
            work.close()
            raise RuntimeError("the client has been closed") from None
        try:
            return future.result()
        except BaseException:
            # Ctrl-C is for what is waited for, too.
            future.cancel()
            raise

    def end(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do a last thing in the loop, and end it."""
        if get_ident() == self._thread:
            # Garbage is collected on any thread, and none can wait for itself.
            Thread(target=self.end, args=(last,)).start()
            return
        self._portal.call(last)
        self._stack.close()
