"""Busy polling: an event loop stays awake for a moment after each response."""

from asyncio import AbstractEventLoop
from time import perf_counter
from typing import Final

# Clients often send the next request right after a response. Polling for 50 µs costs
# less than sleeping and waking, which takes a short request about a quarter of its
# time. With several clients there is no gap to bridge, and polling takes the core from
# them, or from another worker.
_POLL_SECONDS: Final = 50e-6


class BusyPoll:
    """Polls for the next request."""

    def __init__(self) -> None:
        self._until = 0.0
        self._is_polling = False
        self._last = 0

    def stay(self, loop: AbstractEventLoop, client: object) -> None:
        """Poll from now on, if it is the same client as at the last response.

        Args:
            loop: That shall not fall asleep, for no longer than the moment.
            client: Which was answered, such as its connection.
        """
        is_alone = id(client) == self._last
        self._last = id(client)
        if not is_alone:
            return
        self._until = perf_counter() + _POLL_SECONDS
        if not self._is_polling:
            self._poll(loop)

    def _poll(self, loop: AbstractEventLoop) -> None:
        # A loop that has a callback due takes in what has arrived without waiting.
        self._is_polling = perf_counter() < self._until
        if self._is_polling:
            loop.call_soon(self._poll, loop)
