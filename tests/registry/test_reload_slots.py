"""Slots for reloads."""

import asyncio

import pytest

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.registry.reload_slots import ReloadSlots


@pytest.mark.anyio
async def test_slots() -> None:
    """No model twice at once, few at once, and no endless wait."""
    slots = ReloadSlots(0.2)
    running: list[str] = []
    most = 0

    async def take(name: str) -> None:
        nonlocal most
        async with slots.acquire(name):
            assert name not in running
            running.append(name)
            most = max(most, len(running))
            await asyncio.sleep(0.02)
            running.remove(name)

    await asyncio.gather(*(take(name) for name in "aabbcdefgh"))
    assert most == 4
    async with slots.acquire("a"):
        with pytest.raises(ServiceError, match=r"took longer than 0\.2 s"):
            await take("a")
        await take("b")
        waiting = [asyncio.create_task(take("a")) for _ in range(63)]
        await asyncio.sleep(0)
        with pytest.raises(ServiceError, match="64 reloads are waiting"):
            await take("b")
    await asyncio.wait(waiting)
    assert {type(task.exception()) for task in waiting} <= {ServiceError, type(None)}
    await take("a")
