"""What the supervisor and its workers say to each other, and the worker's part in it.

A worker says `Hello`, and is told what to `Serve`. A change of a model is `Prepare` to
all workers; each answers `Prepared`; then `Commit` to all, or `Abort`.
"""

import asyncio
from collections.abc import Sequence
from itertools import count
from multiprocessing.connection import Connection
from threading import Event
from typing import Any, NamedTuple, TypeAlias

from models.messages import one_line
from service.errors import Code, ServiceError
from service.exchanging import Exchanger
from service.line_writer import exit_at_once
from service.loading import freeze
from service.repository import Version
from service.server import Server
from service.settings import ServingError
from service.sources import File
from service.troubles import Trouble

Link: TypeAlias = "Connection[Any, Any]"


class Serve(NamedTuple):
    """To a worker: what it serves from now on.

    Attributes:
        files: Of all models.
        default: Name of the default model; the first that can be served where empty.
        passed_over: What cannot be served.
        is_known: Whether others serve all of the files.
    """

    files: Sequence[File]
    default: str
    passed_over: Sequence[Trouble]
    is_known: bool


class Prepare(NamedTuple):
    """To a worker: load all versions of a model, but do not serve them yet."""

    change: int
    files: Sequence[File]


class Commit(NamedTuple):
    """To a worker: serve what it prepared, and tell what cannot be served."""

    change: int
    passed_over: Sequence[Trouble]


class Abort(NamedTuple):
    """To a worker: forget what it prepared, and tell what cannot be served."""

    change: int
    passed_over: Sequence[Trouble]


class Drain(NamedTuple):
    """To a worker: end, in so many seconds."""

    seconds: float


class Reloaded(NamedTuple):
    """To a worker: how the reload ended that it asked for."""

    request: int
    code: Code | None
    detail: str


class Hello(NamedTuple):
    """To the supervisor: the worker listens."""


class Started(NamedTuple):
    """To the supervisor: the worker serves, or why it cannot.

    Attributes:
        fault: Why it cannot, if so.
        troubles: Of which files it found out that they cannot be served.
    """

    fault: str | None
    troubles: Sequence[Trouble] = ()


class Prepared(NamedTuple):
    """To the supervisor: the worker is ready to swap; which files cannot be served."""

    change: int
    troubles: Sequence[Trouble]


class Committed(NamedTuple):
    """To the supervisor: the worker has swapped, or has forgotten."""

    change: int


class Reload(NamedTuple):
    """To the supervisor: an admin wants a model reloaded."""

    request: int
    name: str


class Control:
    """The worker's end of the link.

    Args:
        link: To the supervisor.
        is_first: Whether the worker listens before it has loaded.

    Attributes:
        has_loaded: Set once there is no model to wait for.
    """

    def __init__(self, link: Link, *, is_first: bool) -> None:
        self._link = link
        self._is_first = is_first
        self.has_loaded = Event()
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def reload(self, name: str) -> None:
        """Have a model reloaded in all workers.

        Raises:
            ServiceError: It stays as it was.
        """
        # What is there answers requests a moment before the supervisor is told so.
        await asyncio.to_thread(self.has_loaded.wait)
        request = next(self._numbers)
        future = asyncio.get_running_loop().create_future()
        self._waiting[request] = future
        self._link.send(Reload(request, name))
        await future

    def fail(self, error: Exception) -> None:
        """Tell that this worker cannot serve."""
        self._link.send(Started(one_line(str(error)) or type(error).__name__))

    def run(self, exchanger: Exchanger, server: Server) -> None:
        """Do what the supervisor says, until it has gone; on a thread of its own."""
        try:
            self._link.send(Hello())
            prepared: dict[int, Sequence[Version]] = {}
            while True:
                self._obey(self._link.recv(), exchanger, server, prepared)
        except (EOFError, OSError):
            # The supervisor has died. What was let in is finished.
            self._drain(server, 0)

    def _obey(
        self,
        message: object,
        exchanger: Exchanger,
        server: Server,
        prepared: dict[int, Sequence[Version]],
    ) -> None:
        match message:
            case Serve():
                self._serve(exchanger, message)
            case Prepare(change, files):
                self._prepare(exchanger, change, files, prepared)
            case Commit(change, passed_over):
                exchanger.put(prepared.pop(change), passed_over)
                self._link.send(Committed(change))
            case Abort(change, passed_over):
                prepared.pop(change, None)
                exchanger.pass_over(passed_over)
                self._link.send(Committed(change))
            case Drain(seconds):
                self._drain(server, seconds)
            case Reloaded():
                self._end_reload(message)

    def _drain(self, server: Server, seconds: float) -> None:
        if not (self._is_first or self.has_loaded.is_set()):
            exit_at_once(0)  # it does not listen yet
        server.drain(seconds)

    def _serve(self, exchanger: Exchanger, message: Serve) -> None:
        files, default, passed_over, is_known = message
        try:
            troubles = exchanger.start(files, passed_over, default)
        # Whatever it is, the supervisor is told, and this process is of no use.
        except Exception as error:
            self.fail(error)
            exit_at_once(1)
        if troubles and is_known:
            self.fail(ServingError(troubles[0].sentence))
            exit_at_once(1)
        freeze()
        self.has_loaded.set()
        self._link.send(Started(None, troubles))

    def _prepare(
        self,
        exchanger: Exchanger,
        change: int,
        files: Sequence[File],
        prepared: dict[int, Sequence[Version]],
    ) -> None:
        prepared[change], troubles = exchanger.load(files)
        self._link.send(Prepared(change, troubles))

    def _end_reload(self, message: Reloaded) -> None:
        future = self._waiting.pop(message.request)
        loop = future.get_loop()

        def end() -> None:
            if future.done():
                return
            if message.code is None:
                future.set_result(None)
            else:
                future.set_exception(ServiceError(message.code, message.detail))

        loop.call_soon_threadsafe(end)
