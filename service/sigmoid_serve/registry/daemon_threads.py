"""Daemon threads for calls that may never return, such as reads from a disk that hangs.

Callers may stop waiting at any time, and the exit of the process waits for none of
them. A thread cannot be stopped: one that is given up goes on until its call returns,
and counts until then.
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Final, TypeVar, TypeVarTuple

_MOST: Final = 16

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


class TooManyThreadsError(Exception):
    """No more calls can be started, as too many have not returned."""


class DaemonThreads:
    """Calls functions, each on a thread of its own.

    Args:
        most: Most calls at once, with those that nobody waits for any more.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = Lock()
        self._running = 0

    def start(
        self, function: Callable[[*Arguments], Result], *args: *Arguments
    ) -> "Future[Result]":
        """Call a function; the future has what it returns or raises.

        Raises:
            TooManyThreadsError: Too many run.
            MemoryError: There is no memory for another thread.
        """
        with self._lock:
            if self._running >= self._most:
                raise TooManyThreadsError(f"{self._most} earlier ones have not ended")
            self._running += 1
        future: Future[Result] = Future()
        # A caller may stop waiting, but cannot cancel the call.
        future.set_running_or_notify_cancel()
        thread = Thread(
            target=self._run, args=(future, function, args), daemon=True, name="load"
        )
        try:
            thread.start()
        except RuntimeError as error:  # Python's error if the system has no memory
            self._end()
            raise MemoryError(str(error)) from None
        return future

    def _run(
        self,
        future: "Future[Result]",
        function: Callable[[*Arguments], Result],
        args: tuple[*Arguments],
    ) -> None:
        try:
            future.set_result(function(*args))
        except BaseException as error:
            future.set_exception(error)
        finally:
            self._end()

    def _end(self) -> None:
        with self._lock:
            self._running -= 1
