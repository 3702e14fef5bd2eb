"""Where long work on a request's bytes is done: beside the event loop."""

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import get_native_id
from typing import Final, TypeVar, TypeVarTuple

from sigmoid_serve.admission.request_state import RequestState

# Handing work to a thread and back costs more than reading or writing this much.
OFFLOAD_ABOVE_BYTES: Final = 2**18

# Beside a busy event loop it means a share of one in ten; see setpriority(2), sched(7).
_NICENESS: Final = 10

logger = logging.getLogger("sigmoid_serve")

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


def background_threads(
    name: str, number: int, prepare: Callable[[], None] = lambda: None
) -> ThreadPoolExecutor:
    """Make threads that leave the processor to the event loop where both want it.

    Args:
        name: Of the threads.
        number: How many there are at most.
        prepare: Called on each before it does anything else.
    """

    def start() -> None:
        _give_way()
        prepare()

    return ThreadPoolExecutor(number, thread_name_prefix=name, initializer=start)


def _give_way() -> None:
    # On Linux each thread has a niceness of its own; elsewhere it is the process's.
    if sys.platform != "linux":
        return
    try:
        os.setpriority(os.PRIO_PROCESS, get_native_id(), _NICENESS)
    except OSError as error:  # not every container allows it
        logger.warning(
            "cannot lower the priority of the compute threads: %s", error.strerror
        )


class BackgroundExecutor:
    """One thread: the interpreter lets only one run, and the event loop is the other.

    What it is given to do must let go of the interpreter every few milliseconds.
    """

    def __init__(self) -> None:
        self._thread = background_threads("background", 1)

    async def run(
        self,
        state: RequestState,
        function: Callable[[*Arguments], Result],
        *args: *Arguments,
    ) -> Result:
        """Call a function on the thread, for the request of a state.

        Raises:
            Expired: It waited too long for the thread.
            Abandoned: Its client went away meanwhile.
        """

        def checked() -> Result:
            state.check()
            return function(*args)

        return await asyncio.get_running_loop().run_in_executor(self._thread, checked)
