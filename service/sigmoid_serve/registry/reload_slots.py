"""Slots for reloads: a few run at once, and no model is reloaded twice at a time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sigmoid_serve.errors import ServiceError

# So that a few slow ones do not delay the others.
_AT_ONCE: Final = 4

_MOST_WAITING: Final = 64


class ReloadSlots:
    """Hands out the slots.

    Args:
        seconds: Longest wait for one.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._semaphore = asyncio.Semaphore(_AT_ONCE)
        self._locks: dict[str, asyncio.Lock] = {}
        self._wanted: Counter[str] = Counter()

    @asynccontextmanager
    async def acquire(self, name: str) -> AsyncIterator[None]:
        """Wait for a slot for a model, and hold it.

        Raises:
            ServiceError: Too many wait, or it waited too long.
        """
        if self._wanted.total() >= _MOST_WAITING:
            detail = f"{_MOST_WAITING} reloads are waiting already; ask again later"
            raise ServiceError("not_ready", detail)
        self._wanted[name] += 1
        lock = self._locks.setdefault(name, asyncio.Lock())
        try:
            await self._take(lock)
            try:
                yield
            finally:
                self._semaphore.release()
                lock.release()
        finally:
            self._wanted[name] -= 1
            if not self._wanted[name]:
                del self._wanted[name], self._locks[name]

    async def _take(self, lock: asyncio.Lock) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await lock.acquire()
                try:
                    await self._semaphore.acquire()
                except BaseException:
                    lock.release()
                    raise
        except TimeoutError:
            detail = (
                f"the reloads before it took longer than {self._seconds:g} s "
                "(SIGMOID_LOAD_SECONDS); ask again later"
            )
            raise ServiceError("not_ready", detail) from None
