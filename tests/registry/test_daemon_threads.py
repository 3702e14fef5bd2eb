"""Threads for what may never end: bounded, and never waited for at the end."""

import asyncio
import subprocess
import sys
from threading import Event

import pytest

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.process.heartbeat import MOST_SILENT_LOOKS, Watch, new_beats
from sigmoid_serve.registry.daemon_threads import ErrandError, Errands
from sigmoid_serve.registry.reload_slots import Turns


def test_what_is_returned_and_raised() -> None:
    errands = Errands(1)
    assert errands.start(divmod, 7, 2).result() == (3, 1)
    with pytest.raises(ZeroDivisionError):
        errands.start(divmod, 7, 0).result()
    assert errands.start(len, "ab").result() == 2


def test_what_does_not_end_is_bounded() -> None:
    errands, end = Errands(2), Event()
    futures = [errands.start(end.wait) for _ in range(2)]
    with pytest.raises(ErrandError, match="2 earlier ones have not ended"):
        errands.start(len, "")
    end.set()
    assert all(future.result() for future in futures)
    assert errands.start(len, "").result() == 0


@pytest.mark.anyio
async def test_whoever_waits_may_stop_waiting() -> None:
    errands, end = Errands(1), Event()
    waiting = asyncio.wrap_future(errands.start(end.wait))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waiting, 0.05)
    with pytest.raises(ErrandError):
        errands.start(len, "")
    end.set()
    while True:
        try:
            assert errands.start(len, "").result() == 0
            break
        except ErrandError:
            await asyncio.sleep(0.01)


def test_the_end_does_not_wait() -> None:
    code = (
        "from time import sleep\n"
        "from sigmoid_serve.registry.daemon_threads import Errands\n"
        "Errands().start(sleep, 3000)"
    )
    subprocess.run([sys.executable, "-c", code], timeout=30, check=True)


def test_who_hangs() -> None:
    beats = new_beats(2)
    watch = Watch(beats)
    for _ in range(3 * MOST_SILENT_LOOKS):  # it has not begun
        assert not watch.hangs(1)
    for look in range(3 * MOST_SILENT_LOOKS):
        beats[1] += look % 2
        assert not watch.hangs(1)
    looks = [watch.hangs(1) for _ in range(MOST_SILENT_LOOKS + 1)]
    assert looks == [False] * looks.index(True) + [True] * (
        len(looks) - looks.index(True)
    )
    assert looks.index(True) >= MOST_SILENT_LOOKS - 1
    watch.forget(1)
    assert not watch.hangs(1)
    assert not watch.hangs(0)


@pytest.mark.anyio
async def test_turns() -> None:
    """No model twice at once, few at once, and no endless wait."""
    turns = Turns(0.2)
    running: list[str] = []
    most = 0

    async def take(name: str) -> None:
        nonlocal most
        async with turns.of(name):
            assert name not in running
            running.append(name)
            most = max(most, len(running))
            await asyncio.sleep(0.02)
            running.remove(name)

    await asyncio.gather(*(take(name) for name in "aabbcdefgh"))
    assert most == 4
    async with turns.of("a"):
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
