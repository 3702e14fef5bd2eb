"""Several workers: told what to serve, changed together, ended together.

The supervisor serves nothing and computes nothing; no device is touched here. It keeps
the bytes of all checkpoints that serve, so that a new worker serves the same. All it
does is done on one event loop: it waits for signals, for the ends of workers, for what
they say and for times, and for nothing else. What may hang, such as reading a file, is
done on other threads.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from socket import socketpair
from types import FrameType

from sigmoid_serve.configuration.settings import ServingError, Settings
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.authentication import Keys
from sigmoid_serve.monitoring.logs import count_dropped_lines
from sigmoid_serve.process.catalogue import Catalogue
from sigmoid_serve.process.crew import Crew
from sigmoid_serve.process.crew_models import CrewModels
from sigmoid_serve.process.messages import (
    Drain,
    Hello,
    Reload,
    Reloaded,
    Serve,
    Started,
)
from sigmoid_serve.process.spawning import Worker
from sigmoid_serve.registry.reloader import Reloader
from sigmoid_serve.registry.startup import first_look
from sigmoid_serve.repository.sources import roots_of
from sigmoid_serve.repository.troubles import Trouble, log_passed_over
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
        Keys(settings.api_keys_file)  # each worker reads them for itself
        self._roots = roots_of(
            checkpoints, settings.models, settings.max_checkpoint_bytes
        )
        self._catalogue = Catalogue(*first_look(self._roots, settings.load_seconds))
        self._crew = Crew(settings, self._handle, self._greet)
        count_dropped_lines(self._crew.metrics)
        # Processes that were told what to serve before any did, and what the first of
        # them that served could not load; those that were not told yet.
        self._early: set[int | None] = set()
        self._waiting: list[Worker] = []
        self._verdict: set[Trouble] = set()
        self._is_told_to_end = False

    def run(self) -> None:
        """Serve until a signal ends it.

        Raises:
            SettingsError: It cannot listen.
            ServingError: No worker can serve.
        """
        self._crew.spawner.listeners = listen(self._settings)
        try:
            asyncio.run(self._run())
        finally:
            self._crew.kill()

    async def _run(self) -> None:
        models = CrewModels(self._crew, self._catalogue)
        self._reloader = Reloader(
            self._settings.load_seconds, self._roots, models, self._crew.metrics
        )
        self._reloader.is_ending = lambda: self._crew.is_ending
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
                await self._crew.run()
            finally:
                signal.set_wakeup_fd(-1)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._loop.call_soon_threadsafe(self._reloader.reload_all)
            return
        if self._is_told_to_end:
            self._crew.kill()
            os._exit(128 + number)
        self._is_told_to_end = True
        is_patient = number != signal.SIGINT
        seconds = self._settings.drain_seconds if is_patient else 0
        self._loop.call_soon_threadsafe(self._end, seconds)

    def _end(self, seconds: float) -> None:
        logger.info("shutting down in %g s", seconds)
        for worker in self._crew.workers.values():
            self._crew.send(worker, Drain(seconds))
        self._crew.end()

    def _greet(self) -> None:
        """Tell workers what to serve: at first only the one that listens already.

        Else another might be ready before it, and say so to whoever then asks both.
        """
        first = self._crew.workers.get(0)
        waiting, self._waiting = self._waiting, []
        for worker in waiting:
            if self._crew.has_served or first in (None, worker):
                self._tell_what_to_serve(worker)
            else:
                self._waiting.append(worker)

    def _tell_what_to_serve(self, worker: Worker) -> None:
        if self._crew.workers.get(worker.number) is not worker:
            return
        catalogue = self._catalogue
        if not self._crew.has_served:
            self._early.add(worker.process.pid)
        models = catalogue.files(), catalogue.default, catalogue.passed_over
        self._crew.greet(worker, Serve(*models, is_known=self._crew.has_served))

    def _handle(self, worker: Worker, message: object) -> None:
        is_gone = self._crew.workers.get(worker.number) is not worker
        match message:
            case Hello():
                worker.state = "waiting"
                self._waiting.append(worker)
            case Started(None, _) if is_gone:
                pass
            case Started(None, troubles):
                self._welcome(worker, troubles)
            case Started(str(fault)) if self._crew.has_served:
                logger.error("worker %d failed to start: %s", worker.number, fault)
            case Started(str(fault)):
                raise ServingError(fault)
            case Reload(request, name):
                self._crew.do(self._reload(worker, request, name))
        self._greet()

    def _welcome(self, worker: Worker, troubles: Sequence[Trouble]) -> None:
        """Count a worker among those that serve, where it serves what the others do."""
        if not self._crew.has_served:
            self._verdict = set(troubles)
            self._catalogue.begin(troubles)
            log_passed_over(troubles)
        elif worker.process.pid in self._early and set(troubles) != self._verdict:
            self._crew.give_up(worker, "failed to load a model that others loaded")
            return
        self._crew.serves(worker)

    async def _reload(self, worker: Worker, request: int, name: str) -> None:
        """Change a model in all workers, or in none, and answer who asked for it."""
        answer = Reloaded(request, None, "")
        try:
            await self._reloader.reload(name)
        except ServiceError as error:
            answer = Reloaded(request, error.code, error.detail)
        # Whatever it is, it concerns this reload alone.
        except Exception as error:
            logger.error("unexpected error in a reload", exc_info=error)
            detail = "the server failed; its log has more"
            answer = Reloaded(request, "internal_error", detail)
        self._crew.send(worker, answer)
