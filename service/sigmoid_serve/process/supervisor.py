"""The supervisor of the workers: they serve the same models and shut down together.

It serves nothing and computes nothing; no device is touched here. It keeps the bytes of
all checkpoints that serve, so that a new worker serves the same. It runs on one event
loop, which waits for signals, exits of workers, their messages and timers only. What
may hang, such as reading a file, is done on other threads.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine, Sequence
from pathlib import Path
from socket import socketpair
from types import FrameType
from typing import Any

from sigmoid_serve.configuration.settings import ServingError, Settings
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.authentication import ApiKeys
from sigmoid_serve.interrupts import INTERRUPTED, STOPPED
from sigmoid_serve.monitoring.line_writer import exit_at_once, line_writer
from sigmoid_serve.monitoring.logs import count_dropped_lines, is_for_terminal
from sigmoid_serve.process.announcement import Announcement, say_goodbye
from sigmoid_serve.process.messages import (
    ChangeResult,
    Drain,
    LoadResult,
    ReloadRequest,
    Serve,
    UnloadRequest,
    WorkerConnected,
)
from sigmoid_serve.process.pool import WorkerPool
from sigmoid_serve.process.pool_models import PoolModels
from sigmoid_serve.process.served_files import ServedFiles
from sigmoid_serve.process.spawning import Worker
from sigmoid_serve.registry.reloader import Reloader
from sigmoid_serve.registry.startup import read_at_startup
from sigmoid_serve.repository.load_problems import LoadProblem, log_passed_over
from sigmoid_serve.repository.model_repository import make_repository
from sigmoid_serve.sockets.listening import listen

logger = logging.getLogger("sigmoid_serve")


class Supervisor:
    """Runs the workers.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        checkpoints: As for `sigmoid_serve.app.create_app`.

    Raises:
        KeysError: The file of keys cannot be used.
        ServingError: What was named cannot be read, or nothing can.
    """

    def __init__(self, settings: Settings, checkpoints: Sequence[Path]) -> None:
        self._settings = settings
        ApiKeys(settings.api_keys_file)  # each worker reads them for itself
        self._model_repository = make_repository(
            checkpoints, settings.models, settings.max_checkpoint_bytes
        )
        self._served_files = ServedFiles(
            *read_at_startup(self._model_repository, settings.load_seconds)
        )
        self._pool = WorkerPool(settings, self._handle, self._register_waiting)
        count_dropped_lines(self._pool.metrics)
        # Workers that wait to be told what to serve.
        self._connected: list[Worker] = []
        # The process ids of those that were told before any served, and what the first
        # of them that served could not load: all of them must load the same.
        self._told_early: set[int | None] = set()
        self._first_problems: set[LoadProblem] = set()
        self._is_shutting_down = False

    def run(self) -> None:
        """Serve until a signal ends it.

        Raises:
            SettingsError: It cannot listen.
            ServingError: No worker can serve.
        """
        listeners = self._pool.spawner.listeners = listen(self._settings)
        self._announcement = Announcement(self._settings, listeners)
        try:
            asyncio.run(self._run())
        finally:
            self._pool.kill_all()
        say_goodbye(self._settings)

    async def _run(self) -> None:
        models = PoolModels(self._pool, self._served_files)
        self._reloader = Reloader(
            self._settings.load_seconds,
            self._model_repository,
            models,
            self._pool.metrics,
        )
        self._reloader.is_shutting_down = lambda: self._pool.is_shutting_down
        self._loop = asyncio.get_running_loop()
        wake, waker = socketpair()
        with wake, waker:
            wake.setblocking(False)
            waker.setblocking(False)
            self._loop.add_reader(wake, wake.recv, 4096)
            signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, self._on_signal)
            try:
                await self._pool.run()
            finally:
                signal.set_wakeup_fd(-1)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._loop.call_soon_threadsafe(self._reloader.reload_all)
            return
        if self._is_shutting_down:
            self._pool.kill_all()
            os._exit(128 + number)
        if number == signal.SIGINT and not self._pool.has_served:
            self._pool.kill_all()
            line_writer().write(STOPPED)
            exit_at_once(INTERRUPTED)
        self._is_shutting_down = True
        is_patient = number != signal.SIGINT
        seconds = self._settings.drain_seconds if is_patient else 0
        self._loop.call_soon_threadsafe(self._shut_down, seconds)

    def _shut_down(self, seconds: float) -> None:
        if not is_for_terminal(self._settings.log_format):
            logger.info("shutting down in %g s", seconds)
        for worker in self._pool.workers.values():
            self._pool.send(worker, Drain(seconds))
        self._pool.shut_down()

    def _register_waiting(self) -> None:
        """Tell the connected workers what to serve, the first worker before the others.

        The first worker listens before it has loaded. If another were ready before it,
        the service would seem ready at one request, and not at the next.
        """
        first = self._pool.workers.get(0)
        connected, self._connected = self._connected, []
        for worker in connected:
            if self._pool.has_served or first in (None, worker):
                self._send_files(worker)
            else:
                self._connected.append(worker)

    def _send_files(self, worker: Worker) -> None:
        if self._pool.workers.get(worker.number) is not worker:
            return
        served_files = self._served_files
        if not self._pool.has_served:
            self._announcement.expect_models()
            self._told_early.add(worker.process.pid)
        message = Serve(
            served_files.contents(),
            served_files.default,
            served_files.passed_over,
            served_files.unloaded,
            is_known=self._pool.has_served,
        )
        self._pool.register(worker, message)

    def _handle(self, worker: Worker, message: object) -> None:
        has_exited = self._pool.workers.get(worker.number) is not worker
        match message:
            case WorkerConnected():
                worker.state = "waiting"
                self._connected.append(worker)
            case LoadResult(None) if has_exited:
                pass
            case LoadResult(None):
                self._on_loaded(worker, message)
            case LoadResult(str(error)) if self._pool.has_served:
                logger.error("worker %d failed to start: %s", worker.number, error)
            case LoadResult(str(error)):
                raise ServingError(error)
            case ReloadRequest(request, name):
                change = self._reloader.reload(name)
                self._pool.run_in_background(self._change(worker, request, change))
            case UnloadRequest(request, name):
                change = self._reloader.unload(name)
                self._pool.run_in_background(self._change(worker, request, change))
        self._register_waiting()

    def _on_loaded(self, worker: Worker, result: LoadResult) -> None:
        """Let a worker that has loaded serve, if it serves what the others do."""
        problems = result.problems
        if not self._pool.has_served:
            self._first_problems = set(problems)
            self._served_files.keep_loaded(problems)
            log_passed_over(problems)
            self._announcement.models_are_loaded(result.served)
        elif (
            worker.process.pid in self._told_early
            and set(problems) != self._first_problems
        ):
            self._pool.kill(worker, "failed to load a model that others loaded")
            return
        self._pool.mark_serving(worker)

    async def _change(
        self, worker: Worker, request: int, change: Coroutine[Any, Any, None]
    ) -> None:
        """Change a model in all workers or in none, and send the result to one."""
        result = ChangeResult(request, None, "")
        try:
            await change
        except ServiceError as error:
            result = ChangeResult(request, error.code, error.detail)
        # Whatever it is, it concerns this change alone.
        except Exception as error:
            logger.error("unexpected error in the change of a model", exc_info=error)
            detail = "the server failed; its log has more"
            result = ChangeResult(request, "internal_error", detail)
        self._pool.send(worker, result)
