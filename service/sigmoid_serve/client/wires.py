"""How requests travel: on the caller's thread, or in an event loop.

What is asked, split and retried is written once, in `async def`. Over `SyncWire` none
of it ever waits for an event loop, so `drive` runs it to its end as a plain function.
"""

from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import inf
from threading import Event
from time import monotonic
from typing import Any, NamedTuple, Protocol, TypeVar

import anyio
import httpx

from sigmoid_serve.client.errors import ConnectionFailedError

Result = TypeVar("Result")


class Request(NamedTuple):
    """What is sent.

    Attributes:
        method: Of HTTP.
        path: Behind the server's address.
        content: The body.
        headers: Beside those of every request.
    """

    method: str
    path: str
    content: bytes = b""
    headers: Mapping[str, str] = {}


class Reply(NamedTuple):
    """What came back, whole.

    Attributes:
        status: Of HTTP.
        headers: By names in any case.
        content: The body.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes


class Wire(Protocol):
    """Sends requests, and waits."""

    async def send(self, request: Request, seconds: float) -> Reply:
        """Send a request.

        Args:
            request: What is sent.
            seconds: How long it may take; `inf` for no end.

        Raises:
            ConnectionFailedError: No server was reached, or it was lost on the way.
            TimeoutError: It took longer.
        """

    async def sleep(self, seconds: float, stopped: Event) -> None:
        """Wait, but no longer than until something stopped."""

    async def gather(
        self, work: Sequence[Coroutine[Any, Any, Result]], stopped: Event
    ) -> list[Result]:
        """Do several things at once.

        Args:
            work: What is done.
            stopped: Set where an error, or Ctrl-C, makes the rest useless.

        Returns:
            The results, in the order of the work. An error is that of the first that
            has one.
        """

    async def close(self) -> None:
        """Close all connections."""


class _TimeLeft(dict[str, float | None]):
    """The timeout of each step of a request: all that is left of its time.

    Args:
        end: Of that time, on the monotonic clock.
    """

    def __init__(self, end: float) -> None:
        super().__init__()
        self._end = end

    def get(self, _step: str, _default: object = None) -> float | None:
        """Return the seconds of a step that begins now; None for no end."""
        # Nothing at all would mean not to wait, which is another mode of sockets.
        return None if self._end == inf else max(self._end - monotonic(), 1e-3)


class SyncWire:
    """Waits on the thread of the caller.

    Args:
        client: Of HTTP.
    """

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    async def send(self, request: Request, seconds: float) -> Reply:
        """See `Wire`; time is looked at whenever a piece of the answer comes."""
        end = monotonic() + seconds
        made = _made(self._client, request, _TimeLeft(end))
        try:
            response = self._client.send(made, stream=True)
            try:
                pieces = []
                for piece in response.iter_bytes():
                    pieces.append(piece)
                    if monotonic() > end:
                        raise TimeoutError
            finally:
                response.close()
        except httpx.TimeoutException as error:
            raise TimeoutError from error
        except httpx.RequestError as error:
            raise _lost(error, made) from error
        return Reply(response.status_code, response.headers, b"".join(pieces))

    async def sleep(self, seconds: float, stopped: Event) -> None:
        """See `Wire`."""
        stopped.wait(seconds)

    async def gather(
        self, work: Sequence[Coroutine[Any, Any, Result]], stopped: Event
    ) -> list[Result]:
        """See `Wire`; each on a thread of its own."""
        with ThreadPoolExecutor(len(work)) as threads:
            try:
                return list(threads.map(drive, work))
            except BaseException:
                stopped.set()
                raise

    async def close(self) -> None:
        """See `Wire`."""
        self._client.close()


class AsyncWire:
    """Waits in the event loop of the caller.

    Args:
        client: Of HTTP.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def send(self, request: Request, seconds: float) -> Reply:
        """See `Wire`."""
        made = _made(self._client, request, {})
        try:
            with anyio.fail_after(None if seconds == inf else seconds):
                response = await self._client.send(made)
        except httpx.TimeoutException as error:
            raise TimeoutError from error
        except httpx.RequestError as error:
            raise _lost(error, made) from error
        return Reply(response.status_code, response.headers, response.content)

    async def sleep(self, seconds: float, stopped: Event) -> None:
        """See `Wire`."""
        await anyio.sleep(seconds)

    async def gather(
        self, work: Sequence[Coroutine[Any, Any, Result]], stopped: Event
    ) -> list[Result]:
        """See `Wire`; each in a task of its own."""
        results: dict[int, Result] = {}
        errors: dict[int, Exception] = {}

        async def do(place: int, each: Coroutine[Any, Any, Result]) -> None:
            try:
                results[place] = await each
            except Exception as error:
                # The others go on: one before it may have the first error.
                errors[place] = error

        async with anyio.create_task_group() as tasks:
            for place, each in enumerate(work):
                tasks.start_soon(do, place, each)
        if errors:
            raise errors[min(errors)]
        return [results[place] for place in range(len(work))]

    async def close(self) -> None:
        """See `Wire`."""
        await self._client.aclose()


def drive(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run to its end what waits for nothing but a `SyncWire`."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: Result = end.value
        return result
    finally:
        coroutine.close()
    raise AssertionError("it waits for an event loop")


def _made(
    client: httpx.Client | httpx.AsyncClient,
    request: Request,
    timeouts: dict[str, float | None],
) -> httpx.Request:
    return client.build_request(
        request.method,
        request.path,
        content=request.content or None,
        headers=request.headers,
        extensions={"timeout": timeouts},
    )


def _lost(error: httpx.RequestError, request: httpx.Request) -> ConnectionFailedError:
    where = request.url.copy_with(path="/", query=None, userinfo=None)
    reason = str(error)[:200] or type(error).__name__
    return ConnectionFailedError(
        f"no answer from {where}: {reason}",
        code="no_connection",
        hint="is a server running there? `sigmoid-serve serve` starts one",
    )
