"""Messages between a supervisor and a worker."""

import asyncio
from pathlib import Path
from socket import socketpair
from threading import Thread
from typing import Any

import pytest

from sigmoid_serve.process.link import SupervisorLink, WorkerLink
from sigmoid_serve.process.messages import Committed, Drain, Prepare, Prepared
from sigmoid_serve.repository.candidates import Source
from sigmoid_serve.repository.model_repository import File


def file(content: bytes) -> File:
    return File(Source("m", "1", Path("m.pt")), content, "0" * 64)


@pytest.mark.anyio
async def test_there_and_back() -> None:
    ours, theirs = socketpair()
    link, other = SupervisorLink(ours), WorkerLink(theirs)
    talking = asyncio.create_task(link.talk())
    heard: list[Any] = []

    def answer() -> None:
        for _ in range(3):
            heard.append(other.receive())
            other.send(Prepared(7, [(str(n),) for n in range(20_000)]))  # type: ignore[misc]
            other.send(Committed(7))

    sent = [
        Prepare(7, [file(b"x" * 10_000_000), file(b"")]),
        Drain(1.5),
        Prepare(8, [file(b"y")]),
    ]
    for message in sent:
        link.send(message)
    thread = Thread(target=answer)
    thread.start()
    for _ in range(3):
        assert len((await link.receive()).troubles) == 20_000
        assert await link.receive() == Committed(7)
    thread.join()
    assert [message for message, _ in heard] == sent
    assert all(is_whole for _, is_whole in heard)
    assert isinstance(heard[0].message.files[0].content, bytes)
    other.close()
    with pytest.raises(EOFError):
        await link.receive()
    talking.cancel()
    link.close()


@pytest.mark.anyio
async def test_nobody_waits_for_who_does_not_read() -> None:
    """As a worker that is stopped; the contents are not copied for it either."""
    ours, theirs = socketpair()
    link = SupervisorLink(ours)
    talking = asyncio.create_task(link.talk())
    for _ in range(100):
        link.send(Prepare(1, [file(b"x" * 1_000_000)]))
    await asyncio.sleep(0.05)
    assert not talking.done()
    theirs.close()
    await talking
    link.close()
