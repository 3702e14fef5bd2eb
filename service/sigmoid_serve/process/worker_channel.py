"""The worker's end of the link: it does what the supervisor says.

What may take long is done on threads of its own, so that the worker is never deaf.
"""

import asyncio
import logging
from asyncio import AbstractEventLoop, Future
from collections.abc import Sequence
from itertools import count
from threading import Event, Lock, Thread
from time import sleep
from typing import Final

from sigmoid_models.messages import one_line
from sigmoid_serve.configuration.settings import ServingError
from sigmoid_serve.errors import Code, ServiceError
from sigmoid_serve.monitoring.line_writer import exit_at_once
from sigmoid_serve.process.link import WorkerLink
from sigmoid_serve.process.messages import (
    Abort,
    Commit,
    Committed,
    Drain,
    Hello,
    Prepare,
    Prepared,
    Reload,
    Reloaded,
    Serve,
    Started,
)
from sigmoid_serve.registry.errands import ErrandError, Errands
from sigmoid_serve.registry.loading import freeze
from sigmoid_serve.registry.registry import Version
from sigmoid_serve.registry.updating import Exchanger
from sigmoid_serve.repository.sources import File, trouble_of
from sigmoid_serve.repository.troubles import Trouble, trouble
from sigmoid_serve.server.server import Server

_LOOK_SECONDS: Final = 0.05

logger = logging.getLogger("sigmoid_serve")


class Control:
    """The worker's end of the link.

    Args:
        link: To the supervisor.
        is_first: Whether the worker listens before it has loaded.
        shutdown_seconds: Longest time of the end, once the supervisor has gone.

    Attributes:
        has_loaded: Set once there is no model to wait for.
    """

    def __init__(
        self, link: WorkerLink, *, is_first: bool, shutdown_seconds: float
    ) -> None:
        self._link = link
        self._is_first = is_first
        self._shutdown_seconds = shutdown_seconds
        self.has_loaded = Event()
        self._numbers = count()
        self._waiting: dict[int, tuple[AbstractEventLoop, Future[None]]] = {}
        self._errands = Errands()
        self._lock = Lock()
        # What is loaded of each change; nothing as long as it is being loaded.
        self._changes: dict[int, Sequence[Version] | None] = {}
        self._is_over = False

    async def reload(self, name: str) -> None:
        """Have a model reloaded in all workers.

        Raises:
            ServiceError: It stays as it was.
        """
        # What is there answers requests a moment before the supervisor is told so.
        while not self.has_loaded.is_set():
            await asyncio.sleep(_LOOK_SECONDS)
        request = next(self._numbers)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting[request] = loop, future
        if self._is_over:
            self._end_reload(request, "draining", "this process is shutting down")
        # Another thread may be sending, and the supervisor may be stopped.
        message = Reload(request, name)
        Thread(target=self._send, args=(message,), daemon=True).start()
        await future

    def fail(self, error: Exception) -> None:
        """Tell that this worker cannot serve."""
        self._send(Started(one_line(str(error)) or type(error).__name__))

    def _send(self, message: object) -> None:
        try:
            self._link.send(message)
        except (OSError, ValueError):  # it has gone, which is seen where it is heard
            logger.debug("the supervisor is gone")

    def run(self, exchanger: Exchanger, server: Server) -> None:
        """Do what the supervisor says, until it has gone; on a thread of its own."""
        server.ends_alone = True  # unless it is told otherwise
        try:
            self._send(Hello())
            while True:
                message, is_whole = self._link.receive()
                self._obey(message, is_whole, exchanger, server)
        except (EOFError, OSError):
            server.ends_alone = False  # all others end as well
        # Whatever it is, this process must not go on without being told anything.
        except Exception as error:
            logger.critical(
                "unexpected error in a message of the supervisor", exc_info=error
            )
        # What was let in is finished.
        self._is_over = True
        self._drain(server, 0)
        self._link.close()
        for request in list(self._waiting):
            self._end_reload(request, "draining", "this process is shutting down")
        sleep(self._shutdown_seconds)
        exit_at_once(1)

    def _obey(
        self, message: object, is_whole: bool, exchanger: Exchanger, server: Server
    ) -> None:
        match message:
            case Serve():
                self._errands.start(self._serve, exchanger, message, is_whole)
            case Prepare():
                self._begin(exchanger, message, is_whole)
            case Commit():
                self._commit(exchanger, message)
            case Abort(change, passed_over):
                with self._lock:
                    self._changes.pop(change, None)
                exchanger.pass_over(passed_over)
                self._send(Committed(change))
            case Drain(seconds):
                server.ends_alone = False
                self._drain(server, seconds)
            case Reloaded():
                self._end_reload(*message)

    def _drain(self, server: Server, seconds: float) -> None:
        with self._lock:
            if not (self._is_first or self.has_loaded.is_set()):
                exit_at_once(0)  # it does not listen yet, nor begins to meanwhile
        server.drain(seconds)

    def _serve(self, exchanger: Exchanger, message: Serve, is_whole: bool) -> None:
        files, default, passed_over, is_known = message
        try:
            if not is_whole:
                raise ServingError("the models need more memory than there is")
            troubles = exchanger.start(files, passed_over, default)
            if troubles and is_known:
                raise ServingError(troubles[0].sentence)
            freeze()
        # Whatever it is, the supervisor is told, and this process is of no use.
        except Exception as error:
            self.fail(error)
            exit_at_once(1)
        with self._lock:
            self.has_loaded.set()
        self._send(Started(None, troubles))

    def _begin(self, exchanger: Exchanger, message: Prepare, is_whole: bool) -> None:
        """Begin to load what may be served later."""
        change, files = message
        with self._lock:
            self._changes[change] = None
        try:
            if not is_whole:
                raise MemoryError
            self._errands.start(self._prepare, exchanger, change, files)
        except (ErrandError, MemoryError) as error:
            self._send(Prepared(change, _troubles(files, error)))

    def _prepare(
        self, exchanger: Exchanger, change: int, files: Sequence[File]
    ) -> None:
        self.has_loaded.wait()
        versions: Sequence[Version] = ()
        troubles: Sequence[Trouble]
        try:
            versions, troubles = exchanger.load(files)
        except Exception as error:
            troubles = _troubles(files, error)
        with self._lock:
            if change not in self._changes:
                return  # it was given up meanwhile
            self._changes[change] = versions
        self._send(Prepared(change, troubles))

    def _commit(self, exchanger: Exchanger, message: Commit) -> None:
        try:
            with self._lock:
                versions = self._changes.pop(message.change)
            if versions is None:
                raise LookupError("it was not loaded")
            exchanger.put(versions, message.passed_over)
        # All others serve it: another process is to do so in place of this one.
        except Exception as error:
            logger.critical(
                "unexpected error in the commit of a reload, exiting", exc_info=error
            )
            exit_at_once(1)
        self._send(Committed(message.change))

    def _end_reload(self, request: int, code: Code | None, detail: str) -> None:
        loop, future = self._waiting.pop(request)

        def end() -> None:
            if future.done():
                return
            if code is None:
                future.set_result(None)
            else:
                future.set_exception(ServiceError(code, detail))

        loop.call_soon_threadsafe(end)


def _troubles(files: Sequence[File], error: Exception) -> list[Trouble]:
    """Describe why none of some files was loaded."""
    if isinstance(error, ErrandError):
        reason, remedy = f"loads do not end: {error}", "restart the service"
        return [trouble(*file.source[:3], reason, remedy) for file in files]
    return [trouble_of(file.source, error) for file in files]
