"""Threads for what may never end, such as reading from a disk that hangs.

Nobody waits for them longer than they want to, and the end of the process does not at
all. A thread cannot be stopped: one that nobody waits for any more goes on until it
ends, and counts until then.
"""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Final, TypeVar, TypeVarTuple

_MOST: Final = 16

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


class ErrandError(Exception):
    """Nothing more can be begun, as too much has not ended."""


class Errands:
    """Runs functions, each on a thread of its own.

    Args:
        most: That run at once; those count that nobody waits for any more.
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
            ErrandError: Too many run.
            MemoryError: There is no room for another thread.
        """
        with self._lock:
            if self._running >= self._most:
                raise ErrandError(f"{self._most} earlier ones have not ended")
            self._running += 1
        future: Future[Result] = Future()
        # Whoever waits may stop waiting; they cannot keep it from being done.
        future.set_running_or_notify_cancel()
        thread = Thread(
            target=self._run, args=(future, function, args), daemon=True, name="errand"
        )
        try:
            thread.start()
        except RuntimeError as error:  # as Python says it where there is no room
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
