"""Several workers: started, replaced when they die, changed together, ended together.

The supervisor serves nothing and computes nothing; no device is touched here. It keeps
the bytes of all checkpoints that serve, so that a new worker serves the same.
"""

import logging
import os
import signal
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from socket import socketpair
from types import FrameType

from service.catalogue import Catalogue
from service.control import (
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
from service.crew import Crew, Worker
from service.errors import ServiceError
from service.keys import Keys
from service.listening import listen
from service.logs import count_dropped_lines
from service.reloading import (
    Found,
    Refused,
    count_reload,
    find_files,
    names_to_reload,
    refusal_error,
)
from service.settings import ServingError, Settings
from service.sources import Survey, roots_of
from service.starting import first_look
from service.troubles import Trouble, log_passed_over

logger = logging.getLogger("sigmoid_serve")


class Supervisor:
    """Runs the workers.

    Args:
        settings: See `service.settings`.
        checkpoints: As for `service.app.create_app`.

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
        self._catalogue = Catalogue(*first_look(self._roots))
        wake, self._waker = socketpair()
        self._crew = Crew(settings, wake)
        count_dropped_lines(self._crew.metrics)
        # Processes that were told what to serve before any did, and what the first of
        # them that served could not load; those that were not told yet.
        self._early: set[int | None] = set()
        self._waiting: list[Worker] = []
        self._verdict: set[Trouble] = set()
        self._signals: deque[int] = deque()
        self._changes = 0
        self._must_reload = False

    def run(self) -> None:
        """Serve until a signal ends it.

        Raises:
            SettingsError: It cannot listen.
            ServingError: No worker can serve.
        """
        crew = self._crew
        crew.listeners = listen(self._settings)
        self._waker.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            crew.start_due()
            while crew.workers or not crew.is_ending:
                crew.listen()
                self._handle_all()
                crew.start_due()
        finally:
            crew.kill()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGHUP and self._crew.is_ending:
            self._crew.kill()
            os._exit(128 + number)
        self._signals.append(number)

    def _handle_all(self) -> None:
        self._greet()
        while self._crew.messages:
            self._handle(*self._crew.messages.popleft())
            self._greet()
        while self._signals:
            number = self._signals.popleft()
            if number == signal.SIGHUP:
                self._must_reload = True
            elif not self._crew.is_ending:
                self._end(
                    0 if number == signal.SIGINT else self._settings.drain_seconds
                )
        # Before anything serves, a change waits.
        if self._must_reload and self._crew.has_served and not self._crew.is_ending:
            self._must_reload = False
            self._reload_all()

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
        self._crew.greeted.add(worker.number)
        if not self._crew.has_served:
            self._early.add(worker.process.pid)
        models = catalogue.files(), catalogue.default, catalogue.passed_over
        self._crew.send(worker, Serve(*models, is_known=self._crew.has_served))

    def _handle(self, worker: Worker, message: object) -> None:
        is_gone = self._crew.workers.get(worker.number) is not worker
        match message:
            case Hello():
                self._waiting.append(worker)
            case Started(None, _) if is_gone:
                pass
            case Started(None, troubles):
                self._welcome(worker, troubles)
            case Started(str(fault)) if self._crew.has_served:
                logger.error("worker %d cannot serve: %s", worker.number, fault)
            case Started(str(fault)):
                raise ServingError(fault)
            case Reload(request, name):
                error = self._reload(name, self._roots.survey())
                code, detail = (error.code, error.detail) if error else (None, "")
                self._crew.send(worker, Reloaded(request, code, detail))

    def _welcome(self, worker: Worker, troubles: Sequence[Trouble]) -> None:
        """Count a worker among those that serve, where it serves what the others do."""
        if not self._crew.has_served:
            self._verdict = set(troubles)
            self._catalogue.begin(troubles)
            log_passed_over(troubles)
        elif worker.process.pid in self._early and set(troubles) != self._verdict:
            logger.error("worker %d cannot load what others can", worker.number)
            worker.process.kill()
            return
        self._crew.serves(worker)

    def _end(self, seconds: float) -> None:
        logger.info("ending, in %g s", seconds)
        self._crew.end()
        for worker in self._crew.workers.values():
            self._crew.send(worker, Drain(seconds))

    def _reload_all(self) -> None:
        survey, catalogue = self._roots.survey(), self._catalogue
        for name in names_to_reload(survey, catalogue.models, catalogue.passed_over):
            self._reload(name, survey)

    def _reload(self, name: str, survey: Survey) -> ServiceError | None:
        """Change a model in all workers, or in none."""
        catalogue, metrics = self._catalogue, self._crew.metrics
        is_served = name in catalogue.models
        self._changes += 1
        try:
            found = find_files(survey, name, is_served=is_served)
            accepted = catalogue.accepted(name, found, self._prepare(found))
        except Refused as refusal:
            self._abort(name, refusal.troubles)
            count_reload(metrics, name, refusal)
            return refusal_error(name, refusal, is_served=is_served)
        except ServiceError as error:
            self._abort(name, ())
            return error
        catalogue.put(name, accepted)
        self._crew.ask(Commit(self._changes, catalogue.passed_over), Committed)
        count_reload(metrics, name, None)
        log_passed_over(accepted.troubles)
        return None

    def _prepare(self, found: Found) -> list[Sequence[Trouble]]:
        """Have all workers load files, and return what each of them cannot serve.

        Raises:
            Refused: One of them gave no answer.
        """
        if not found.files:
            return []
        try:
            answers = self._crew.ask(Prepare(self._changes, found.files), Prepared)
        except MemoryError:
            reason = "it needs more memory than there is"
            raise Refused(reason, found.troubles) from None
        if not answers or any(number not in answers for number in self._crew.greeted):
            raise Refused("a worker did not answer", found.troubles)
        return [answer.troubles for answer in answers.values()]

    def _abort(self, name: str, troubles: Sequence[Trouble]) -> None:
        self._catalogue.pass_over(name, troubles)
        self._crew.ask(Abort(self._changes, self._catalogue.passed_over), Committed)
