"""Where long work on a request's bytes is done: beside the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, TypeVarTuple

from service.queue import Ticket

# Handing work to a thread and back costs more than reading or writing this much.
SHORT_BYTES: Final = 2**18

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


class Worker:
    """One thread: the interpreter lets only one run, and the event loop is the other.

    What it is given to do must let go of the interpreter every few milliseconds.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="worker")

    async def run(
        self,
        ticket: Ticket,
        function: Callable[[*Arguments], Result],
        *args: *Arguments,
    ) -> Result:
        """Call a function on the thread, for the request of a ticket.

        Raises:
            Expired: It waited too long for the thread.
            Abandoned: Its client went away meanwhile.
        """

        def checked() -> Result:
            ticket.check()
            return function(*args)

        return await asyncio.get_running_loop().run_in_executor(self._thread, checked)
