"""A message to all workers, and their replies to it."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from sigmoid_serve.process.messages import Abort, Commit, Prepare

_Worker = TypeVar("_Worker")


class Broadcast(Generic[_Worker]):
    """Collects the replies to one message.

    Args:
        message: That was sent.
        kind: Of the answers.
        workers: That it was sent to.

    Attributes:
        message: As given.
        kind: As given.
        answers: So far.
        missing: Who is still to answer.
        is_lost: Whether one has gone without an answer.
    """

    def __init__(
        self,
        message: Prepare | Commit | Abort,
        reply_type: type[Any],
        workers: Iterable[_Worker],
    ) -> None:
        self.message = message
        self.reply_type = reply_type
        self.replies: list[Any] = []
        self.pending = set(workers)
        self.has_lost_worker = False
        self._is_complete = asyncio.Event()
        self._set_if_complete()

    def receive(self, worker: _Worker, reply: Any) -> None:
        """Take a message as a reply, if it is one to this broadcast."""
        is_mine = (
            isinstance(reply, self.reply_type) and reply.update == self.message.update
        )
        if is_mine and worker in self.pending:
            self.pending.discard(worker)
            self.replies.append(reply)
            self._set_if_complete()

    def drop(self, worker: _Worker) -> None:
        """Do not wait for a worker that has exited."""
        if worker in self.pending:
            self.pending.discard(worker)
            self.has_lost_worker = True
            self._set_if_complete()

    def add(self, worker: _Worker) -> None:
        """Wait also for a worker that was sent the message later than the others."""
        self.pending.add(worker)
        self._is_complete.clear()

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait until all have replied or exited; return whether that is so."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_complete.wait(), seconds)
        return self._is_complete.is_set()

    def _set_if_complete(self) -> None:
        if not self.pending:
            self._is_complete.set()
