"""What was asked of all workers, and who has not answered yet."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from sigmoid_serve.process.messages import Abort, Commit, Prepare

_Worker = TypeVar("_Worker")


class Question(Generic[_Worker]):
    """The answers to one message.

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
        kind: type[Any],
        workers: Iterable[_Worker],
    ) -> None:
        self.message = message
        self.kind = kind
        self.answers: list[Any] = []
        self.missing = set(workers)
        self.is_lost = False
        self._settled = asyncio.Event()
        self._look()

    def hear(self, worker: _Worker, answer: Any) -> None:
        """Take an answer, if it is one to this question."""
        is_mine = isinstance(answer, self.kind) and answer.change == self.message.change
        if is_mine and worker in self.missing:
            self.missing.discard(worker)
            self.answers.append(answer)
            self._look()

    def lose(self, worker: _Worker) -> None:
        """Do not wait for a worker that has gone."""
        if worker in self.missing:
            self.missing.discard(worker)
            self.is_lost = True
            self._look()

    def invite(self, worker: _Worker) -> None:
        """Wait for a worker that was asked later than the others."""
        self.missing.add(worker)
        self._settled.clear()

    async def settle(self, seconds: float | None = None) -> bool:
        """Wait until all have answered or gone; return whether that is so."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), seconds)
        return self._settled.is_set()

    def _look(self) -> None:
        if not self.missing:
            self._settled.set()
