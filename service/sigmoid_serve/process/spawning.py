"""How a process is made that serves, with the memory that all of them share."""

import multiprocessing
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from socket import socket, socketpair
from typing import Final, Literal

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.monitoring.metrics import SLAB_BYTES, Metrics
from sigmoid_serve.process.heartbeat import LOOK_SECONDS, new_beats
from sigmoid_serve.process.link import SupervisorLink
from sigmoid_serve.process.worker import serve_as_worker
from sigmoid_serve.sockets.balance import NOBODY, new_counts

# Time to be started and to say so, however short the time is to load a model.
_LEAST_START_SECONDS: Final = 20.0


@dataclass(eq=False)
class Worker:
    """A process that serves, or is about to.

    Attributes:
        number: Its place among the workers.
        process: That it is.
        link: To it.
        state: What it does: it starts, it waits to be told what to serve, it loads
            that, it serves.
        most_looks: That it may remain in this state, where it starts or loads.
        looks: At it, in this state.
        hears: Whether its link is open.
        is_given_up: Whether it was killed.
    """

    number: int
    process: SpawnProcess
    link: SupervisorLink
    most_looks: float
    state: Literal["starting", "waiting", "loading", "serving"] = "starting"
    looks: int = 0
    hears: bool = True
    is_given_up: bool = False


class Spawner:
    """Makes the processes of workers.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.

    Attributes:
        listeners: That they share; to be set before any is made.
        metrics: Of the process that supervises.
        beats: Of all workers; see `sigmoid_serve.process.heartbeat`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._context = multiprocessing.get_context("spawn")
        slabs = settings.workers + 1
        self._memory = self._context.RawArray("B", slabs * SLAB_BYTES)
        self._connections = new_counts(settings.workers)
        self.listeners: list[socket] = []
        self.metrics = Metrics(self._memory, settings.workers)
        self.beats = new_beats(settings.workers)

    def spawn(self, number: int, *, is_first: bool) -> Worker:
        """Start the process of a worker.

        Raises:
            OSError: The system has no room for it.
            MemoryError: The same.
        """
        ours, theirs = socketpair()
        process = self._context.Process(
            target=serve_as_worker,
            args=(
                self._settings,
                number,
                self.listeners,
                self._memory,
                self._connections,
                self.beats,
                theirs,
            ),
            kwargs={"is_first": is_first},
            name=f"worker {number}",
            daemon=False,
        )
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        seconds = max(self._settings.load_seconds, _LEAST_START_SECONDS)
        return Worker(number, process, SupervisorLink(ours), seconds / LOOK_SECONDS)

    def forget(self, number: int) -> None:
        """Let others not wait for a worker that has ended."""
        self._connections[number] = NOBODY
