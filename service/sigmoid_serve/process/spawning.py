"""Starting of worker processes, with the memory that all of them share."""

import multiprocessing
import signal
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from socket import socket, socketpair
from typing import Final, Literal

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.monitoring.metrics import SLAB_BYTES, Metrics
from sigmoid_serve.process.heartbeat import CHECK_SECONDS, new_heartbeats
from sigmoid_serve.process.link import SupervisorLink
from sigmoid_serve.process.worker import worker_main
from sigmoid_serve.sockets.balance import NOT_ACCEPTING, new_counts

# Time for a process to start and connect, however short the time to load a model is.
_LEAST_START_SECONDS: Final = 20.0


@dataclass(eq=False)
class Worker:
    """A worker process, as the supervisor sees it.

    Attributes:
        number: Its place among the workers.
        process: Its process.
        link: To the process.
        max_checks: Most checks in this state, while it starts or loads.
        state: It starts, waits to be told what to serve, loads that, or serves.
        checks: So far in this state.
        is_connected: Whether its link is open.
        is_killed: Whether it was killed by the supervisor.
    """

    number: int
    process: SpawnProcess
    link: SupervisorLink
    max_checks: float
    state: Literal["starting", "waiting", "loading", "serving"] = "starting"
    checks: int = 0
    is_connected: bool = True
    is_killed: bool = False

    @property
    def seconds(self) -> float:
        """How long it has been in this state."""
        return self.checks * CHECK_SECONDS

    def start_loading(self, max_seconds: float) -> None:
        """Note that it was told what to serve, and how long it may load that."""
        self.state, self.checks = "loading", 0
        self.max_checks = max_seconds / CHECK_SECONDS

    @property
    def is_registered(self) -> bool:
        """Whether it was told what to serve, and takes part in updates."""
        return self.is_connected and self.state in ("loading", "serving")

    @property
    def is_late(self) -> bool:
        """Whether it has been starting or loading for too long."""
        is_limited = self.state in ("starting", "loading")
        return is_limited and self.checks > self.max_checks


class Spawner:
    """Starts the processes of workers.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.

    Attributes:
        listeners: That they share; to be set before any is started.
        metrics: Of the supervisor.
        heartbeats: Of all workers; see `sigmoid_serve.process.heartbeat`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._context = multiprocessing.get_context("spawn")
        slabs = settings.workers + 1
        self._memory = self._context.RawArray("B", slabs * SLAB_BYTES)
        self._connections = new_counts(settings.workers)
        self.listeners: list[socket] = []
        self.metrics = Metrics(self._memory, settings.workers)
        self.heartbeats = new_heartbeats(settings.workers)

    def spawn(self, number: int, *, is_first: bool) -> Worker:
        """Start the process of a worker.

        Raises:
            OSError: The system has no room for it.
            MemoryError: The same.
        """
        ours, theirs = socketpair()
        process = self._context.Process(
            target=worker_main,
            args=(
                self._settings,
                number,
                self.listeners,
                self._memory,
                self._connections,
                self.heartbeats,
                theirs,
            ),
            kwargs={"is_first": is_first},
            name=f"worker {number}",
            daemon=False,
        )
        # Ctrl-C reaches all processes of a terminal, also one that is still importing;
        # what becomes of workers then is the supervisor's to say. They inherit this.
        # With the first of them multiprocessing starts its tracker, and would let the
        # signal through again.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            theirs.close()
        seconds = max(self._settings.load_seconds, _LEAST_START_SECONDS)
        return Worker(number, process, SupervisorLink(ours), seconds / CHECK_SECONDS)

    def forget(self, number: int) -> None:
        """Take a worker that has exited out of the balance of connections."""
        self._connections[number] = NOT_ACCEPTING
