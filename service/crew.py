"""The processes that serve: started, heard, replaced when they die, killed together."""

import logging
import multiprocessing
from collections import deque
from collections.abc import Mapping
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from socket import socket
from time import monotonic
from typing import Any, Final, NamedTuple

from service.balance import NOBODY, new_counts
from service.control import Abort, Commit, Committed, Link, Prepare, Prepared
from service.metrics import SLAB_BYTES, Metrics
from service.restarts import MOST_DEATHS, Restarts, ending
from service.serving import serve_as_worker
from service.settings import ServingError, Settings

# A worker that takes longer to load a model refuses it.
_PREPARE_SECONDS: Final = 300.0

logger = logging.getLogger("sigmoid_serve")


class Worker(NamedTuple):
    """A process that serves, or is about to."""

    number: int
    process: SpawnProcess
    link: Link


class Crew:
    """All workers.

    Args:
        settings: See `service.settings`.
        wake: A socket that can be read where there is something else to do.

    Attributes:
        listeners: That the workers share; to be set before they are started.
        metrics: Of the process that supervises.
        workers: Those that run, by their number.
        greeted: Numbers of those that were told what to serve.
        started: Numbers of those that serve.
        messages: What they said and nobody has read, and who said it.
        has_served: Whether one ever served.
        is_ending: Whether those that die are not replaced any more.
    """

    def __init__(self, settings: Settings, wake: socket) -> None:
        self._settings = settings
        self._wake = wake
        self._context = multiprocessing.get_context("spawn")
        slabs = settings.workers + 1
        self._memory = self._context.RawArray("B", slabs * SLAB_BYTES)
        self._connections = new_counts(settings.workers)
        # When to start a worker, by its number.
        self._due = dict.fromkeys(range(settings.workers), 0.0)
        self._restarts = Restarts()
        self.listeners: list[socket] = []
        self.metrics = Metrics(self._memory, settings.workers)
        self.workers: dict[int, Worker] = {}
        self.greeted: set[int] = set()
        self.started: set[int] = set()
        self.messages: deque[tuple[Worker, Any]] = deque()
        self.has_served = False
        self.is_ending = False

    def start_due(self) -> None:
        """Start the workers whose time has come."""
        for number, due in list(self._due.items()):
            if due <= monotonic() and not self.is_ending:
                del self._due[number]
                self._start(number)

    def _start(self, number: int) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=serve_as_worker,
            args=(
                self._settings,
                number,
                self.listeners,
                self._memory,
                self._connections,
                theirs,
            ),
            kwargs={"is_first": number == 0 and not self.has_served},
            name=f"worker {number}",
            daemon=False,
        )
        process.start()
        theirs.close()
        self.workers[number] = Worker(number, process, ours)
        logger.info("worker %d started, process %d", number, process.pid)

    def listen(self, deadline: float | None = None) -> None:
        """Take in messages, and deaths of workers; wait for one, or for a signal.

        Args:
            deadline: Of the waiting; else it ends where a worker is to be started.

        Raises:
            ServingError: No worker serves, and one has died too often.
        """
        deadline = deadline or min(self._due.values(), default=None)
        links = {id(worker.link): worker for worker in self.workers.values()}
        ends = {worker.process.sentinel: worker for worker in self.workers.values()}
        waits: list[Any] = [
            *ends,
            self._wake,
            *(w.link for w in self.workers.values()),
        ]
        timeout = None if deadline is None else max(0.0, deadline - monotonic())
        for ready in wait(waits, 0 if self.messages else timeout):
            if ready is self._wake:
                self._wake.recv(4096)
            elif isinstance(ready, int):
                self._bury(ends[ready])
            elif not links[id(ready)].link.closed:
                self._receive(links[id(ready)])

    def _receive(self, worker: Worker) -> bool:
        try:
            message = worker.link.recv()
        except (EOFError, OSError):
            return False  # its end is seen as such
        self.messages.append((worker, message))
        return True

    def _bury(self, worker: Worker) -> None:
        worker.process.join()
        while self._receive(worker):
            pass
        del self.workers[worker.number]
        worker.link.close()
        self._connections[worker.number] = NOBODY
        if self.is_ending:
            return
        self.greeted.discard(worker.number)
        self.metrics.counter("sigmoid_worker_restarts_total").add()
        how = ending(worker.process.exitcode)
        if worker.number in self.started:
            self.started.discard(worker.number)
            self._due[worker.number] = monotonic()
            logger.error("worker %d ended with %s and is replaced", worker.number, how)
            return
        pause = self._restarts.died(worker.number)
        deaths = self._restarts.deaths[worker.number]
        if not self.started and deaths >= MOST_DEATHS:
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

    def send(self, worker: Worker, message: object) -> None:
        """Tell one worker something, if it still listens."""
        try:
            worker.link.send(message)
        except OSError:
            logger.debug("worker %d does not listen any more", worker.number)

    def serves(self, worker: Worker) -> None:
        """Count a worker among those that serve."""
        self.has_served = True
        self.started.add(worker.number)
        self._restarts.served(worker.number)

    def end(self) -> None:
        """Let no more connections in, and replace no worker any more."""
        self.is_ending = True
        self._due.clear()
        for listener in self.listeners:
            listener.close()

    def kill(self) -> None:
        """End all workers at once."""
        for worker in self.workers.values():
            worker.process.kill()

    def ask(
        self,
        message: Prepare | Commit | Abort,
        kind: type[Prepared | Committed],
    ) -> Mapping[int, Any]:
        """Send all workers the same, and wait for the answers of those that live.

        One that has not been told yet what to serve will be told the outcome.
        """
        asked = [w for w in self.workers.values() if w.number in self.greeted]
        for worker in asked:
            self.send(worker, message)
        answers: dict[int, Any] = {}
        others: deque[tuple[Worker, Any]] = deque()
        deadline = monotonic() + _PREPARE_SECONDS
        while monotonic() < deadline:
            living = [w for w in asked if self.workers.get(w.number) is w]
            if all(worker.number in answers for worker in living):
                break
            self.listen(deadline)
            while self.messages:
                sender, answer = self.messages.popleft()
                if isinstance(answer, kind) and answer.change == message.change:
                    answers[sender.number] = answer
                else:
                    others.append((sender, answer))
        self.messages.extend(others)
        return answers
