"""Messages between a supervisor and a worker."""

import asyncio
from pathlib import Path
from socket import socketpair
from threading import Thread
from typing import Any

import pytest

from sigmoid_models.checkpoint import FileBytes, read_bytes
from sigmoid_serve.process.link import SupervisorLink, WorkerLink
from sigmoid_serve.process.messages import Committed, Drain, Prepare, Prepared
from sigmoid_serve.repository.candidates import CheckpointFile
from sigmoid_serve.repository.model_repository import CheckpointContent


def content(data: FileBytes) -> CheckpointContent:
    return CheckpointContent(CheckpointFile("m", "1", Path("m.pt")), data, "0" * 64)


@pytest.mark.anyio
async def test_there_and_back() -> None:
    ours, theirs = socketpair()
    link, other = SupervisorLink(ours), WorkerLink(theirs)
    sending = asyncio.create_task(link.send_queued())
    received: list[Any] = []

    def answer() -> None:
        for _ in range(3):
            received.append(other.receive())
            other.send(Prepared(7, [(str(n),) for n in range(20_000)]))  # type: ignore[misc]
            other.send(Committed(7))

    sent = [
        Prepare(7, [content(b"x" * 10_000_000), content(b"")]),
        Drain(1.5),
        Prepare(8, [content(b"y")]),
    ]
    for message in sent:
        link.send(message)
    thread = Thread(target=answer)
    thread.start()
    for _ in range(3):
        assert len((await link.receive()).problems) == 20_000
        assert await link.receive() == Committed(7)
    thread.join()
    assert [message for message, _ in received] == sent
    assert all(is_whole for _, is_whole in received)
    assert isinstance(received[0].message.contents[0].data, bytes)
    other.close()
    with pytest.raises(EOFError):
        await link.receive()
    sending.cancel()
    link.close()


@pytest.mark.anyio
async def test_a_file_as_it_was_read(tmp_path: Path) -> None:
    """The supervisor keeps it, to start other workers with it."""
    (tmp_path / "m.pt").write_bytes(b"x" * 5000)
    data = read_bytes(tmp_path / "m.pt")
    ours, theirs = socketpair()
    link, other = SupervisorLink(ours), WorkerLink(theirs)
    sending = asyncio.create_task(link.send_queued())
    for _ in range(2):
        link.send(Prepare(1, [content(data)]))
        received = await asyncio.to_thread(other.receive)
        assert received.message.contents == [content(data[:])]
    sending.cancel()
    link.close()
    other.close()


@pytest.mark.anyio
async def test_sending_does_not_wait_for_a_worker_that_does_not_read() -> None:
    """As a stopped worker; nor are the contents copied for it."""
    ours, theirs = socketpair()
    link = SupervisorLink(ours)
    sending = asyncio.create_task(link.send_queued())
    for _ in range(100):
        link.send(Prepare(1, [content(b"x" * 1_000_000)]))
    await asyncio.sleep(0.05)
    assert not sending.done()
    theirs.close()
    await sending
    link.close()
