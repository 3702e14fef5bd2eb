"""The pool of workers: started, monitored, restarted, and shut down together.

All of it runs on one event loop, on which nothing waits for a worker.
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
from sigmoid_serve.process.broadcast import Broadcast
from sigmoid_serve.process.heartbeat import (
    CHECK_SECONDS,
    MAX_MISSED_BEATS,
    HeartbeatMonitor,
)
from sigmoid_serve.process.messages import (
    Abort,
    Commit,
    Committed,
    Prepare,
    Prepared,
    Serve,
)
from sigmoid_serve.process.restart_backoff import (
    MAX_EXITS,
    RestartBackoff,
    describe_exit,
)
from sigmoid_serve.process.spawning import Spawner, Worker

# The last messages of a process arrive before its exit is seen. The wait is bounded, as
# children that it left behind may keep its end of the link open.
_GRACE_SECONDS: Final = 1.0
_REAP_SECONDS: Final = 0.01

logger = logging.getLogger("sigmoid_serve")


class WorkerPool:
    """All workers.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        on_message: Called with each message that is no reply to a broadcast.
        on_exit: Called when a worker has exited, before another is started.

    Attributes:
        spawner: Starts their processes.
        metrics: Of the supervisor.
        workers: Those that run, by their number.
        has_served: Whether one has ever served.
        is_shutting_down: Whether workers that exit are not replaced any more.
    """

    def __init__(
        self,
        settings: Settings,
        on_message: Callable[[Worker, Any], None],
        on_exit: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._max_shutdown_seconds = settings.shutdown_seconds + _GRACE_SECONDS
        self._on_message = on_message
        self._on_exit = on_exit
        self.spawner = Spawner(settings)
        self.metrics = self.spawner.metrics
        self._usage = ProcessUsage(self.metrics)
        self._heartbeat_monitor = HeartbeatMonitor(self.spawner.heartbeats)
        self._backoff = RestartBackoff()
        self._restart_at: dict[int, TimerHandle] = {}
        self._broadcasts: set[Broadcast[Worker]] = set()
        self._tasks: set[Task[None]] = set()
        self.workers: dict[int, Worker] = {}
        self.has_served = False
        self.is_shutting_down = False

    async def run(self) -> None:
        """Start the workers, and keep them running until the pool is shut down.

        Raises:
            ServingError: No worker serves, and one has exited too often.
        """
        self._loop = asyncio.get_running_loop()
        self._finished: Future[None] = self._loop.create_future()
        for number in range(self._settings.workers):
            self._start(number)
        self.run_in_background(self._check_workers())
        await self._finished

    def run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task on the event loop; an error in it ends the service."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End the service with an error."""
        if not self._finished.done():
            self._finished.set_exception(error)

    def _start(self, number: int) -> None:
        self._restart_at.pop(number, None)
        self._heartbeat_monitor.forget(number)
        try:
            is_first = not (number or self.has_served)
            worker = self.spawner.spawn(number, is_first=is_first)
        except (OSError, MemoryError) as error:
            self._start_later(number, f"no process ({error})")
            return
        self.workers[number] = worker
        logger.info("worker %d started, process %d", number, worker.process.pid)
        self.run_in_background(self._monitor(worker))

    async def _monitor(self, worker: Worker) -> None:
        """Receive what a worker sends until it exits, then restart it if need be."""
        exited = self._exit_of(worker.process)
        sending = self._loop.create_task(worker.link.send_queued())
        receiving = self._loop.create_task(self._receive(worker))
        await asyncio.wait({receiving, exited}, return_when=asyncio.FIRST_COMPLETED)
        if exited.done():
            await asyncio.wait({receiving}, timeout=_GRACE_SECONDS)
        self._on_disconnect(worker)
        if not exited.done():  # its link is closed, and it may finish its requests
            await asyncio.wait({exited}, timeout=self._max_shutdown_seconds)
        if not exited.done():
            self.kill(
                worker, "closed its connection to the supervisor but did not exit"
            )
            await exited
        receiving.cancel()
        sending.cancel()
        worker.link.close()
        while worker.process.exitcode is None:
            await asyncio.sleep(_REAP_SECONDS)
        self._reap(worker)

    def _exit_of(self, process: SpawnProcess) -> "Future[None]":
        exited: Future[None] = self._loop.create_future()
        sentinel = process.sentinel

        def on_exit() -> None:
            self._loop.remove_reader(sentinel)
            exited.set_result(None)

        self._loop.add_reader(sentinel, on_exit)
        return exited

    async def _receive(self, worker: Worker) -> None:
        with suppress(EOFError, OSError):
            while True:
                message = await worker.link.receive()
                try:
                    self._dispatch(worker, message)
                except Exception as error:
                    self.fail(error)
                    return

    def _dispatch(self, worker: Worker, message: object) -> None:
        if isinstance(message, Prepared | Committed):
            for broadcast in self._broadcasts:
                broadcast.receive(worker, message)
        else:
            self._on_message(worker, message)

    def _on_disconnect(self, worker: Worker) -> None:
        worker.is_connected = False
        for broadcast in self._broadcasts:
            broadcast.drop(worker)

    def _reap(self, worker: Worker) -> None:
        del self.workers[worker.number]
        self.spawner.forget(worker.number)
        cause = describe_exit(worker.process.exitcode)
        if self.is_shutting_down:
            if worker.process.exitcode:
                logger.error(
                    "worker %d exited with %s during shutdown", worker.number, cause
                )
            self._finish_if_empty()
            return
        self._on_exit()
        self.metrics.counter("sigmoid_worker_restarts_total").add()
        if worker.state != "serving":
            self._start_later(worker.number, cause)
            return
        logger.error("worker %d exited with %s, restarting", worker.number, cause)
        self._start(worker.number)

    def _start_later(self, number: int, cause: str) -> None:
        pause = self._backoff.next_pause(number)
        exits = self._backoff.exits[number]
        is_served = any(each.state == "serving" for each in self.workers.values())
        if not is_served and exits >= MAX_EXITS:
            sentence = (
                f"no worker can start: worker {number} exited {exits} times in a row "
                f"before it was ready, the last time with {cause}; see the log"
            )
            self.fail(ServingError(sentence))
            return
        logger.error(
            "worker %d exited with %s before it was ready, restarting in %g s",
            number,
            cause,
            pause,
        )
        self._restart_at[number] = self._loop.call_later(pause, self._start, number)

    async def _check_workers(self) -> None:
        """Kill those that hang or take too long to be ready."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self._usage.update()
            for worker in self.workers.values():
                worker.checks += 1
                if self._heartbeat_monitor.hangs(worker.number):
                    silent = MAX_MISSED_BEATS * CHECK_SECONDS
                    self.kill(worker, f"sent no heartbeat for {silent:g} s")
                elif worker.is_late:
                    self.kill(worker, f"was not ready after {worker.seconds:g} s")

    def kill(self, worker: Worker, why: str) -> None:
        """Kill a worker, so that it is restarted."""
        if not worker.is_killed:
            worker.is_killed = True
            logger.error("worker %d %s, killing it", worker.number, why)
            worker.process.kill()

    def send(self, worker: Worker, message: object) -> None:
        """Send a message to one worker, if its link is open."""
        if worker.is_connected:
            worker.link.send(message)

    def register(self, worker: Worker, message: Serve) -> None:
        """Tell a worker what to serve; from now on it takes part in all updates."""
        models = {content.file.name for content in message.contents}
        worker.start_loading(self._settings.load_seconds * len(models))
        self.send(worker, message)
        for broadcast in self._broadcasts:
            if broadcast.reply_type is Prepared:
                broadcast.add(worker)
                self.send(worker, broadcast.message)

    def mark_serving(self, worker: Worker) -> None:
        """Note that a worker serves."""
        self.has_served = True
        worker.state = "serving"
        self._backoff.reset(worker.number)

    @contextmanager
    def broadcast(
        self,
        message: Prepare | Commit | Abort,
        reply_type: type[Prepared | Committed],
    ) -> Iterator[Broadcast[Worker]]:
        """Send a message to all workers that were told what to serve."""
        recipients = [each for each in self.workers.values() if each.is_registered]
        broadcast = Broadcast(message, reply_type, recipients)
        self._broadcasts.add(broadcast)
        try:
            for worker in recipients:
                self.send(worker, message)
            yield broadcast
        finally:
            self._broadcasts.discard(broadcast)

    def shut_down(self) -> None:
        """Close the listening sockets, restart no worker, kill those that are late."""
        self.is_shutting_down = True
        for due in self._restart_at.values():
            due.cancel()
        for listener in self.spawner.listeners:
            listener.close()
        self._loop.call_later(self._max_shutdown_seconds, self._kill_overdue)
        self._finish_if_empty()

    def _kill_overdue(self) -> None:
        for worker in self.workers.values():
            self.kill(worker, f"did not exit within {self._max_shutdown_seconds:g} s")

    def _finish_if_empty(self) -> None:
        if not self.workers and not self._finished.done():
            self._finished.set_result(None)

    def kill_all(self) -> None:
        """Kill all workers at once."""
        for worker in list(self.workers.values()):
            worker.process.kill()
