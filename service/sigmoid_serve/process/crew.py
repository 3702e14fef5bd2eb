"""The processes that serve: started, heard, replaced when they die, killed together.

All of it is done on one event loop, on which nothing waits for a worker.
"""

import asyncio
import logging
from asyncio import Future, Task, TimerHandle
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.context import SpawnProcess
from typing import Any, Final

from sigmoid_serve.configuration.settings import ServingError, Settings
from sigmoid_serve.monitoring.process_usage import ProcessUsage
from sigmoid_serve.process.heartbeat import LOOK_SECONDS, MOST_SILENT_LOOKS, Watch
from sigmoid_serve.process.messages import (
    Abort,
    Commit,
    Committed,
    Prepare,
    Prepared,
    Serve,
)
from sigmoid_serve.process.question import Question
from sigmoid_serve.process.restarts import MOST_DEATHS, Restarts, ending
from sigmoid_serve.process.spawning import Spawner, Worker

# What a process said last is there when it has ended, but for that it may have left
# others that hold its end of the link.
_LAST_SECONDS: Final = 1.0
_REAP_SECONDS: Final = 0.01

_BOUNDED: Final = ("starting", "loading")

logger = logging.getLogger("sigmoid_serve")


class Crew:
    """All workers.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        on_message: Called with whatever a worker says unasked.
        on_death: Called when one has ended, before another takes its place.

    Attributes:
        spawner: Makes them.
        metrics: Of the process that supervises.
        workers: Those that run, by their number.
        has_served: Whether one ever served.
        is_ending: Whether those that die are not replaced any more.
    """

    def __init__(
        self,
        settings: Settings,
        on_message: Callable[[Worker, Any], None],
        on_death: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._on_message = on_message
        self._on_death = on_death
        self.spawner = Spawner(settings)
        self.metrics = self.spawner.metrics
        self._usage = ProcessUsage(self.metrics)
        self._watch = Watch(self.spawner.beats)
        self._restarts = Restarts()
        self._due: dict[int, TimerHandle] = {}
        self._questions: set[Question[Worker]] = set()
        self._tasks: set[Task[None]] = set()
        self.workers: dict[int, Worker] = {}
        self.has_served = False
        self.is_ending = False

    async def run(self) -> None:
        """Have the workers serve until they have ended.

        Raises:
            ServingError: No worker serves, and one has died too often.
        """
        self._loop = asyncio.get_running_loop()
        self._over: Future[None] = self._loop.create_future()
        for number in range(self._settings.workers):
            self._start(number)
        self.do(self._look_after())
        await self._over

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside all else; where that fails, all ends."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End all, because of an error."""
        if not self._over.done():
            self._over.set_exception(error)

    def _start(self, number: int) -> None:
        self._due.pop(number, None)
        self._watch.forget(number)
        try:
            worker = self.spawner.spawn(
                number, is_first=not (number or self.has_served)
            )
        except (OSError, MemoryError) as error:
            self._start_later(number, f"no process ({error})")
            return
        self.workers[number] = worker
        logger.info("worker %d started, process %d", number, worker.process.pid)
        self.do(self._attend(worker))

    async def _attend(self, worker: Worker) -> None:
        """Hear a worker until its end, and see to what is to be done then."""
        ended = self._end_of(worker.process)
        talking = self._loop.create_task(worker.link.talk())
        hearing = self._loop.create_task(self._hear(worker))
        either = {hearing, ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            await asyncio.wait({hearing}, timeout=_LAST_SECONDS)
        self._lose(worker)
        if not ended.done():  # it says no more, and may finish what it has let in
            await asyncio.wait({ended}, timeout=self._last_seconds)
        if not ended.done():
            self.give_up(
                worker, "closed its connection to the supervisor but did not exit"
            )
            await ended
        hearing.cancel()
        talking.cancel()
        worker.link.close()
        while worker.process.exitcode is None:
            await asyncio.sleep(_REAP_SECONDS)
        self._bury(worker)

    def _end_of(self, process: SpawnProcess) -> "Future[None]":
        ended: Future[None] = self._loop.create_future()
        sentinel = process.sentinel

        def end() -> None:
            self._loop.remove_reader(sentinel)
            ended.set_result(None)

        self._loop.add_reader(sentinel, end)
        return ended

    async def _hear(self, worker: Worker) -> None:
        with suppress(EOFError, OSError):
            while True:
                message = await worker.link.receive()
                try:
                    self._take(worker, message)
                except Exception as error:
                    self.fail(error)
                    return

    def _take(self, worker: Worker, message: object) -> None:
        if isinstance(message, Prepared | Committed):
            for question in self._questions:
                question.hear(worker, message)
        else:
            self._on_message(worker, message)

    def _lose(self, worker: Worker) -> None:
        worker.hears = False
        for question in self._questions:
            question.lose(worker)

    def _bury(self, worker: Worker) -> None:
        del self.workers[worker.number]
        self.spawner.forget(worker.number)
        how = ending(worker.process.exitcode)
        if self.is_ending:
            if worker.process.exitcode:
                logger.error(
                    "worker %d exited with %s during shutdown", worker.number, how
                )
            self._end_if_alone()
            return
        self._on_death()
        self.metrics.counter("sigmoid_worker_restarts_total").add()
        if worker.state != "serving":
            self._start_later(worker.number, how)
            return
        logger.error("worker %d exited with %s, restarting", worker.number, how)
        self._start(worker.number)

    def _start_later(self, number: int, how: str) -> None:
        pause = self._restarts.died(number)
        deaths = self._restarts.deaths[number]
        is_served = any(each.state == "serving" for each in self.workers.values())
        if not is_served and deaths >= MOST_DEATHS:
            sentence = (
                f"no worker can start: worker {number} exited {deaths} times in a row "
                f"before it was ready, the last time with {how}; see the log"
            )
            self.fail(ServingError(sentence))
            return
        logger.error(
            "worker %d exited with %s before it was ready, restarting in %g s",
            number,
            how,
            pause,
        )
        self._due[number] = self._loop.call_later(pause, self._start, number)

    async def _look_after(self) -> None:
        """Give up those that hang."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._usage.update()
            for worker in self.workers.values():
                worker.looks += 1
                seconds = worker.looks * LOOK_SECONDS
                if self._watch.hangs(worker.number):
                    silent = MOST_SILENT_LOOKS * LOOK_SECONDS
                    self.give_up(worker, f"sent no heartbeat for {silent:g} s")
                elif worker.state in _BOUNDED and worker.looks > worker.most_looks:
                    self.give_up(worker, f"was not ready after {seconds:g} s")

    def give_up(self, worker: Worker, why: str) -> None:
        """Kill a worker, so that another takes its place."""
        if not worker.is_given_up:
            worker.is_given_up = True
            logger.error("worker %d %s, killing it", worker.number, why)
            worker.process.kill()

    def send(self, worker: Worker, message: object) -> None:
        """Tell one worker something, if it still listens."""
        if worker.hears:
            worker.link.send(message)

    def greet(self, worker: Worker, message: Serve) -> None:
        """Tell a worker what to serve; it takes part in whatever is changed then."""
        worker.state, worker.looks = "loading", 0
        models = {file.source.name for file in message.files}
        worker.most_looks = self._settings.load_seconds * len(models) / LOOK_SECONDS
        self.send(worker, message)
        for question in self._questions:
            if question.kind is Prepared:
                question.invite(worker)
                self.send(worker, question.message)

    def serves(self, worker: Worker) -> None:
        """Count a worker among those that serve."""
        self.has_served = True
        worker.state = "serving"
        self._restarts.served(worker.number)

    @contextmanager
    def asking(
        self,
        message: Prepare | Commit | Abort,
        kind: type[Prepared | Committed],
    ) -> Iterator[Question[Worker]]:
        """Ask all workers that were told what to serve."""
        workers = self.workers.values()
        asked = [w for w in workers if w.hears and w.state in ("loading", "serving")]
        question = Question(message, kind, asked)
        self._questions.add(question)
        try:
            for worker in asked:
                self.send(worker, message)
            yield question
        finally:
            self._questions.discard(question)

    @property
    def _last_seconds(self) -> float:
        return self._settings.shutdown_seconds + _LAST_SECONDS

    def end(self) -> None:
        """Let no more connections in, replace no worker, kill those that stay."""
        self.is_ending = True
        for due in self._due.values():
            due.cancel()
        for listener in self.spawner.listeners:
            listener.close()
        self._loop.call_later(self._last_seconds, self._end_at_last)
        self._end_if_alone()

    def _end_at_last(self) -> None:
        for worker in self.workers.values():
            self.give_up(worker, f"did not exit within {self._last_seconds:g} s")

    def _end_if_alone(self) -> None:
        if not self.workers and not self._over.done():
            self._over.set_result(None)

    def kill(self) -> None:
        """End all workers at once."""
        for worker in list(self.workers.values()):
            worker.process.kill()
