"""Several workers: started, replaced when they die, changed together, ended together.

The supervisor serves nothing and computes nothing; no device is touched here. It keeps
the bytes of all checkpoints that serve, so that a new worker serves the same.
"""

import logging
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from socket import socket, socketpair
from time import monotonic
from types import FrameType
from typing import Any, Final, NamedTuple

from service.balance import NOBODY, new_counts
from service.catalogue import Catalogue
from service.control import (
    Abort,
    Commit,
    Committed,
    Drain,
    Hello,
    Link,
    Prepare,
    Prepared,
    Reload,
    Reloaded,
    Serve,
    Started,
)
from service.errors import ServiceError
from service.keys import Keys
from service.listening import listen
from service.metrics import SLAB_BYTES, Metrics
from service.reloading import (
    Found,
    Refused,
    count_reload,
    find_files,
    names_to_reload,
    refusal_error,
)
from service.restarts import MOST_DEATHS, Restarts, ending
from service.serving import serve_as_worker
from service.settings import ServingError, Settings
from service.sources import Survey, roots_of
from service.starting import first_look
from service.troubles import Trouble, log_passed_over

# A worker that takes longer to load a model refuses it.
_PREPARE_SECONDS: Final = 300.0

logger = logging.getLogger("sigmoid_serve")


class _Worker(NamedTuple):
    number: int
    process: SpawnProcess
    link: Link


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
        self._listeners: list[socket] = []
        Keys(settings.api_keys_file)  # each worker reads them for itself
        self._roots = roots_of(checkpoints, settings.models)
        self._catalogue = Catalogue(*first_look(self._roots))
        self._context = multiprocessing.get_context("spawn")
        slabs = settings.workers + 1
        self._memory = self._context.RawArray("B", slabs * SLAB_BYTES)
        self._metrics = Metrics(self._memory, settings.workers)
        self._connections = new_counts(settings.workers)
        self._workers: dict[int, _Worker] = {}
        # When to start a worker, by its number.
        self._due = dict.fromkeys(range(settings.workers), 0.0)
        # Those that have been told what to serve, of these the ones that were told
        # before any did, and those that do; and what the first of them cannot serve.
        self._greeted: set[int] = set()
        self._early: set[int] = set()
        self._started: set[int] = set()
        self._verdict: set[Trouble] = set()
        self._restarts = Restarts()
        self._wake, self._waker = socketpair()
        self._messages: deque[tuple[_Worker, Any]] = deque()
        self._signals: deque[int] = deque()
        self._changes = 0
        self._has_served = False
        self._must_reload = False
        self._is_ending = False

    def run(self) -> None:
        """Serve until a signal ends it.

        Raises:
            SettingsError: It cannot listen.
            ServingError: No worker can serve.
        """
        self._listeners = listen(self._settings)
        self._waker.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno())
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        try:
            self._start_due()
            while self._workers or not self._is_ending:
                self._listen(min(self._due.values(), default=None))
                self._handle_all()
                self._start_due()
        finally:
            for worker in self._workers.values():
                worker.process.kill()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number != signal.SIGHUP and self._is_ending:
            for worker in self._workers.values():
                worker.process.kill()
            os._exit(128 + number)
        self._signals.append(number)

    def _start_due(self) -> None:
        for number, due in list(self._due.items()):
            if due <= monotonic() and not self._is_ending:
                del self._due[number]
                self._start(number)

    def _start(self, number: int) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=serve_as_worker,
            args=(
                self._settings,
                number,
                self._listeners,
                self._memory,
                self._connections,
                theirs,
            ),
            kwargs={"is_first": number == 0 and not self._has_served},
            name=f"worker {number}",
            daemon=False,
        )
        process.start()
        theirs.close()
        self._workers[number] = _Worker(number, process, ours)
        logger.info("worker %d started, process %d", number, process.pid)

    def _listen(self, deadline: float | None) -> None:
        """Take in messages, and deaths of workers; wait for one, or for a signal."""
        links = {id(worker.link): worker for worker in self._workers.values()}
        ends = {worker.process.sentinel: worker for worker in self._workers.values()}
        waits: list[Any] = [
            *ends,
            self._wake,
            *(w.link for w in self._workers.values()),
        ]
        timeout = None if deadline is None else max(0.0, deadline - monotonic())
        for ready in wait(waits, 0 if self._messages else timeout):
            if ready is self._wake:
                self._wake.recv(4096)
            elif isinstance(ready, int):
                self._bury(ends[ready])
            elif not links[id(ready)].link.closed:
                self._receive(links[id(ready)])

    def _receive(self, worker: _Worker) -> bool:
        try:
            message = worker.link.recv()
        except (EOFError, OSError):
            return False  # its end is seen as such
        self._messages.append((worker, message))
        return True

    def _bury(self, worker: _Worker) -> None:
        worker.process.join()
        while self._receive(worker):
            pass
        del self._workers[worker.number]
        worker.link.close()
        self._connections[worker.number] = NOBODY
        if self._is_ending:
            return
        self._greeted.discard(worker.number)
        self._early.discard(worker.number)
        self._metrics.counter("sigmoid_worker_restarts_total").add()
        how = ending(worker.process.exitcode)
        if worker.number in self._started:
            self._started.discard(worker.number)
            self._due[worker.number] = monotonic()
            logger.error("worker %d ended with %s and is replaced", worker.number, how)
            return
        pause = self._restarts.died(worker.number)
        deaths = self._restarts.deaths[worker.number]
        if not self._started and deaths >= MOST_DEATHS:
            raise ServingError(
                f"no worker serves: worker {worker.number} ended {deaths} times in a "
                f"row before it was ready, at last with {how}; the log may say why"
            )
        self._due[worker.number] = monotonic() + pause
        logger.error(
            "worker %d ended with %s before it was ready; it is started again in %g s",
            worker.number,
            how,
            pause,
        )

    def _handle_all(self) -> None:
        while self._messages:
            self._handle(*self._messages.popleft())
        while self._signals:
            number = self._signals.popleft()
            if number == signal.SIGHUP:
                self._must_reload = True
            elif not self._is_ending:
                self._end(
                    0 if number == signal.SIGINT else self._settings.drain_seconds
                )
        # Before anything serves, a change waits.
        if self._must_reload and self._has_served and not self._is_ending:
            self._must_reload = False
            self._reload_all()

    def _handle(self, worker: _Worker, message: object) -> None:
        catalogue = self._catalogue
        is_gone = self._workers.get(worker.number) is not worker
        match message:
            case Hello() | Started(None, _) if is_gone:
                pass
            case Hello():
                self._greeted.add(worker.number)
                if not self._has_served:
                    self._early.add(worker.number)
                models = catalogue.files(), catalogue.default, catalogue.passed_over
                self._send(worker, Serve(*models, is_known=self._has_served))
            case Started(None, troubles):
                self._welcome(worker, troubles)
            case Started(str(fault)) if self._has_served:
                logger.error("worker %d cannot serve: %s", worker.number, fault)
            case Started(str(fault)):
                raise ServingError(fault)
            case Reload(request, name):
                error = self._reload(name, self._roots.survey())
                code, detail = (error.code, error.detail) if error else (None, "")
                self._send(worker, Reloaded(request, code, detail))

    def _welcome(self, worker: _Worker, troubles: Sequence[Trouble]) -> None:
        """Count a worker among those that serve, where it serves what the others do."""
        if not self._has_served:
            self._has_served = True
            self._verdict = set(troubles)
            self._catalogue.begin(troubles)
            log_passed_over(troubles)
        elif worker.number in self._early and set(troubles) != self._verdict:
            logger.error("worker %d cannot load what others can", worker.number)
            worker.process.kill()
            return
        self._started.add(worker.number)
        self._restarts.served(worker.number)

    def _end(self, seconds: float) -> None:
        self._is_ending = True
        self._due.clear()
        logger.info("ending, in %g s", seconds)
        for listener in self._listeners:
            listener.close()
        for worker in self._workers.values():
            self._send(worker, Drain(seconds))

    def _send(self, worker: _Worker, message: object) -> None:
        try:
            worker.link.send(message)
        except OSError:
            logger.debug("worker %d does not listen any more", worker.number)

    def _reload_all(self) -> None:
        survey, catalogue = self._roots.survey(), self._catalogue
        for name in names_to_reload(survey, catalogue.models, catalogue.passed_over):
            self._reload(name, survey)

    def _reload(self, name: str, survey: Survey) -> ServiceError | None:
        """Change a model in all workers, or in none."""
        catalogue, metrics = self._catalogue, self._metrics
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
        self._ask(Commit(self._changes, catalogue.passed_over), Committed)
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
            answers = self._ask(Prepare(self._changes, found.files), Prepared)
        except MemoryError:
            reason = "it needs more memory than there is"
            raise Refused(reason, found.troubles) from None
        if not answers or any(number not in answers for number in self._greeted):
            raise Refused("a worker did not answer", found.troubles)
        return [answer.troubles for answer in answers.values()]

    def _abort(self, name: str, troubles: Sequence[Trouble]) -> None:
        self._catalogue.pass_over(name, troubles)
        self._ask(Abort(self._changes, self._catalogue.passed_over), Committed)

    def _ask(
        self,
        message: Prepare | Commit | Abort,
        kind: type[Prepared | Committed],
    ) -> Mapping[int, Any]:
        """Send all workers the same, and wait for the answers of those that live.

        One that has not been told yet what to serve will be told the outcome.
        """
        asked = [w for w in self._workers.values() if w.number in self._greeted]
        for worker in asked:
            self._send(worker, message)
        answers: dict[int, Any] = {}
        others: deque[tuple[_Worker, Any]] = deque()
        deadline = monotonic() + _PREPARE_SECONDS
        while monotonic() < deadline:
            living = [w for w in asked if self._workers.get(w.number) is w]
            if all(worker.number in answers for worker in living):
                break
            self._listen(deadline)
            while self._messages:
                sender, answer = self._messages.popleft()
                if isinstance(answer, kind) and answer.change == message.change:
                    answers[sender.number] = answer
                else:
                    others.append((sender, answer))
        self._messages.extend(others)
        return answers
