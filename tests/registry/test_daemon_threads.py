"""Threads for calls that may never return: bounded, not waited for at the exit."""

import asyncio
import subprocess
import sys
from threading import Event

import pytest

from sigmoid_serve.registry.daemon_threads import DaemonThreads, TooManyThreadsError


def test_what_is_returned_and_raised() -> None:
    threads = DaemonThreads(1)
    assert threads.start(divmod, 7, 2).result() == (3, 1)
    with pytest.raises(ZeroDivisionError):
        threads.start(divmod, 7, 0).result()
    assert threads.start(len, "ab").result() == 2


def test_calls_that_do_not_return_are_bounded() -> None:
    threads, end = DaemonThreads(2), Event()
    futures = [threads.start(end.wait) for _ in range(2)]
    with pytest.raises(TooManyThreadsError, match="2 earlier ones have not ended"):
        threads.start(len, "")
    end.set()
    assert all(future.result() for future in futures)
    assert threads.start(len, "").result() == 0


@pytest.mark.anyio
async def test_a_caller_may_stop_waiting() -> None:
    threads, end = DaemonThreads(1), Event()
    waiting = asyncio.wrap_future(threads.start(end.wait))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waiting, 0.05)
    with pytest.raises(TooManyThreadsError):
        threads.start(len, "")
    end.set()
    while True:
        try:
            assert threads.start(len, "").result() == 0
            break
        except TooManyThreadsError:
            await asyncio.sleep(0.01)


def test_the_exit_does_not_wait() -> None:
    code = (
        "from time import sleep\n"
        "from sigmoid_serve.registry.daemon_threads import DaemonThreads\n"
        "DaemonThreads().start(sleep, 3000)"
    )
    subprocess.run([sys.executable, "-c", code], timeout=30, check=True)
