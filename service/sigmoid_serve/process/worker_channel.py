"""The worker's side of the channel to the supervisor: it handles the messages.

What may take long is done on other threads, so that messages are always received.
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
from sigmoid_serve.process.announcement import describe_served
from sigmoid_serve.process.link import WorkerLink
from sigmoid_serve.process.messages import (
    Abort,
    ChangeResult,
    Commit,
    Committed,
    Drain,
    LoadResult,
    Prepare,
    Prepared,
    ReloadRequest,
    Serve,
    UnloadRequest,
    WorkerConnected,
)
from sigmoid_serve.registry.daemon_threads import DaemonThreads, TooManyThreadsError
from sigmoid_serve.registry.loading import freeze, give_back_memory, load_failure
from sigmoid_serve.registry.registry import ModelVersion
from sigmoid_serve.registry.updating import ModelUpdater
from sigmoid_serve.repository.load_problems import LoadProblem, load_problem
from sigmoid_serve.repository.model_repository import CheckpointContent
from sigmoid_serve.server.server import Server

_CHECK_SECONDS: Final = 0.05

logger = logging.getLogger("sigmoid_serve")


class WorkerChannel:
    """Handles the supervisor's messages, and asks it for changes.

    Args:
        link: To the supervisor.
        is_first: Whether the worker listens before it has loaded.
        shutdown_seconds: Longest time to shut down, once the supervisor has exited.

    Attributes:
        has_loaded: Set once the models are loaded.
    """

    def __init__(
        self, link: WorkerLink, *, is_first: bool, shutdown_seconds: float
    ) -> None:
        self._link = link
        self._is_first = is_first
        self._shutdown_seconds = shutdown_seconds
        self.has_loaded = Event()
        self._request_numbers = count()
        self._pending_changes: dict[int, tuple[AbstractEventLoop, Future[None]]] = {}
        self._threads = DaemonThreads()
        self._lock = Lock()
        # The versions of each update; None while it is being loaded.
        self._updates: dict[int, Sequence[ModelVersion] | None] = {}
        self._is_closed = False

    async def reload(self, name: str) -> None:
        """Have a model reloaded in all workers.

        Raises:
            ServiceError: It keeps its running versions.
        """
        await self._ask(ReloadRequest, name)

    async def unload(self, name: str) -> None:
        """Have a model served no more in any worker.

        Raises:
            ServiceError: It goes on serving.
        """
        await self._ask(UnloadRequest, name)

    async def _ask(
        self, kind: type[ReloadRequest] | type[UnloadRequest], name: str
    ) -> None:
        # The models answer requests a moment before the supervisor knows of it.
        while not self.has_loaded.is_set():
            await asyncio.sleep(_CHECK_SECONDS)
        request = next(self._request_numbers)
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._pending_changes[request] = loop, future
        if self._is_closed:
            self._finish_change(request, "draining", "this process is shutting down")
        # Another thread may be sending, and the supervisor may be stopped.
        message = kind(request, name)
        Thread(target=self._send, args=(message,), daemon=True).start()
        await future

    def report_failure(self, error: Exception) -> None:
        """Tell the supervisor that this worker cannot serve."""
        self._send(LoadResult(one_line(str(error)) or type(error).__name__))

    def _send(self, message: object) -> None:
        try:
            self._link.send(message)
        except (OSError, ValueError):  # it has exited, as `run` sees too
            logger.debug("the supervisor is gone")

    def run(self, updater: ModelUpdater, server: Server) -> None:
        """Handle messages until the supervisor has exited, then shut down.

        Runs on a thread of its own, and does not return: it exits the process.
        """
        server.ends_alone = True  # unless it is told otherwise
        try:
            self._send(WorkerConnected())
            while True:
                # No name here keeps a message, and its files, until the next comes.
                self._handle(*self._link.receive(), updater, server)
        except (EOFError, OSError):
            server.ends_alone = False  # all others end as well
        # Whatever it is, this process must not go on without its supervisor.
        except Exception as error:
            logger.critical(
                "unexpected error in a message of the supervisor", exc_info=error
            )
        # Requests that were accepted are finished.
        self._is_closed = True
        self._drain(server, 0)
        self._link.close()
        for request in list(self._pending_changes):
            self._finish_change(request, "draining", "this process is shutting down")
        sleep(self._shutdown_seconds)
        exit_at_once(1)

    def _handle(
        self, message: object, is_whole: bool, updater: ModelUpdater, server: Server
    ) -> None:
        match message:
            case Serve():
                self._threads.start(self._serve, updater, message, is_whole)
            case Prepare():
                self._start_prepare(updater, message, is_whole)
            case Commit():
                self._commit(updater, message)
            case Abort(update, passed_over):
                with self._lock:
                    self._updates.pop(update, None)
                updater.pass_over(passed_over)
                self._send(Committed(update))
            case Drain(seconds):
                server.ends_alone = False
                self._drain(server, seconds)
            case ChangeResult():
                self._finish_change(*message)

    def _drain(self, server: Server, seconds: float) -> None:
        with self._lock:
            if not (self._is_first or self.has_loaded.is_set()):
                exit_at_once(0)  # it does not listen yet, and the lock keeps it so
        server.drain(seconds)

    def _serve(self, updater: ModelUpdater, message: Serve, is_whole: bool) -> None:
        contents, default, passed_over, unloaded, is_known = message
        try:
            if not is_whole:
                raise ServingError("the models need more memory than there is")
            problems = updater.start(contents, passed_over, default, unloaded)
            if problems and is_known:
                raise ServingError(problems[0].sentence)
            freeze()
        # Whatever it is, the supervisor is told, and this process cannot serve.
        except Exception as error:
            self.report_failure(error)
            exit_at_once(1)
        with self._lock:
            self.has_loaded.set()
        self._send(LoadResult(None, problems, describe_served(updater.registry)))

    def _start_prepare(
        self, updater: ModelUpdater, message: Prepare, is_whole: bool
    ) -> None:
        """Start to load an update, on another thread."""
        update, contents = message
        with self._lock:
            self._updates[update] = None
        if not contents and self.has_loaded.is_set():
            # An unload has nothing to wait for, however many loads hang.
            self._finish_prepare(update, (), ())
            return
        try:
            if not is_whole:
                raise MemoryError
            self._threads.start(self._prepare, updater, update, contents)
        except (TooManyThreadsError, MemoryError) as error:
            self._send(Prepared(update, _load_problems(contents, error)))

    def _prepare(
        self, updater: ModelUpdater, update: int, contents: Sequence[CheckpointContent]
    ) -> None:
        self.has_loaded.wait()
        versions: Sequence[ModelVersion] = ()
        problems: Sequence[LoadProblem]
        try:
            versions, problems = updater.prepare(contents)
        except Exception as error:
            problems = _load_problems(contents, error)
        self._finish_prepare(update, versions, problems)

    def _finish_prepare(
        self,
        update: int,
        versions: Sequence[ModelVersion],
        problems: Sequence[LoadProblem],
    ) -> None:
        with self._lock:
            if update not in self._updates:
                return  # it was aborted meanwhile
            self._updates[update] = versions
        self._send(Prepared(update, problems))

    def _commit(self, updater: ModelUpdater, message: Commit) -> None:
        try:
            with self._lock:
                versions = self._updates.pop(message.update)
            if versions is None:
                raise LookupError("it was not loaded")
            updater.commit(versions, message.passed_over, message.unloaded)
        # The other workers serve it: a new process has to replace this one.
        except Exception as error:
            logger.critical(
                "unexpected error in the commit of an update, exiting", exc_info=error
            )
            exit_at_once(1)
        self._send(Committed(message.update))
        give_back_memory()

    def _finish_change(self, request: int, code: Code | None, detail: str) -> None:
        loop, future = self._pending_changes.pop(request)

        def end() -> None:
            if future.done():
                return
            if code is None:
                future.set_result(None)
            else:
                future.set_exception(ServiceError(code, detail))

        loop.call_soon_threadsafe(end)


def _load_problems(
    contents: Sequence[CheckpointContent], error: Exception
) -> list[LoadProblem]:
    """Describe why none of the files was loaded."""
    if isinstance(error, TooManyThreadsError):
        reason, remedy = f"loads do not end: {error}", "restart the service"
        return [load_problem(*content.file[:3], reason, remedy) for content in contents]
    return [load_failure(content.file, error) for content in contents]
