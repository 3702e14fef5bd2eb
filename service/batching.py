"""The rows of waiting requests into common batches; to each request its own rows.

Nothing waits for a batch to fill. Light requests, which on the CPU take less time than
handing them to a thread and back is worth, are gathered while the event loop reads what
has arrived, and computed right after: at low load that is one request at once, at high
load all that came in meanwhile. Heavy ones, and all on a GPU, are computed on a thread
of the device; a batch of them is closed when the device is free. A long request is
split, and takes turns with the others. One that nobody waits for any more, or that has
waited too long, is left out.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Final, NamedTuple

import numpy as np

from models.dtype import Float64Array
from service.device import as_memory_error
from service.engine import Answer, Engine, RowError
from service.ticket import Ticket
from service.timing import INFER, QUEUE

# Multiplications of a light batch, about a millisecond's.
_LIGHT_PRODUCTS: Final = 2**23


Outcome = Answer | Exception


@dataclass(eq=False, slots=True)
class _Job:
    """A request's rows, how many of them went into batches, and what came back."""

    rows: Float64Array
    ticket: Ticket
    done: Callable[[Outcome], None]
    is_done: bool = False
    taken: int = 0
    answers: list[Answer] = field(default_factory=list)

    def take(self, outcome: Outcome) -> None:
        """Keep the answer to the next rows; finish with the last, or with an error."""
        if self.is_done:
            return
        if isinstance(outcome, RowError):
            done = sum(len(answer.logits) for answer in self.answers)
            outcome.index = (done + outcome.index[0], *outcome.index[1:])
        if isinstance(outcome, Answer):
            self.answers.append(outcome)
            if self.taken < len(self.rows):
                return
            outcome = outcome if len(self.answers) == 1 else _joined(self.answers)
        self.is_done = True
        self.done(outcome)


class _Part(NamedTuple):
    """Rows of one job that go into one batch."""

    job: _Job
    rows: Float64Array


class Batcher:
    """Gathers requests to one engine, on one event loop.

    Args:
        engine: Computes the batches.
        device_thread: One thread, shared by all engines of a device.
        on_batch: Called with the number of rows of each batch that was computed.
    """

    def __init__(
        self,
        engine: Engine,
        device_thread: Executor,
        on_batch: Callable[[int], None],
    ) -> None:
        self._engine = engine
        self._device_thread = device_thread
        self._on_batch = on_batch
        on_cpu = engine.device.type == "cpu"
        self._light_rows = _LIGHT_PRODUCTS // engine.products if on_cpu else 0
        self._light: deque[_Job] = deque()
        self._heavy: deque[_Job] = deque()
        self._is_busy = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def answer(self, rows: Float64Array, ticket: Ticket) -> Answer:
        """Compute the answer to raw features, finite, `(rows, features)`.

        Raises:
            RowError: For a row of this request.
            Expired: It waited too long.
            Abandoned: Its client went away.
            ServiceError: `out_of_memory`.
        """
        future: asyncio.Future[Answer] = self._running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if future.done():
                return
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        if not self.join(rows, ticket, done):
            ticket.enter(QUEUE)
            self._heavy.append(_Job(rows, ticket, done))
            self._start_heavy(self._running_loop())
        return await future

    def join(
        self, rows: Float64Array, ticket: Ticket, done: Callable[[Outcome], None]
    ) -> bool:
        """Put a light request into the next batch.

        Args:
            rows: Raw features, finite, `(rows, features)`.
            ticket: Of the request.
            done: Called with the answer, soon or by `flush`.

        Returns:
            Whether the request is light; if not, nothing was done.
        """
        if not self.is_light(len(rows)):
            return False
        ticket.enter(QUEUE)
        self._light.append(_Job(rows, ticket, done))
        if len(self._light) == 1:
            self._running_loop().call_soon(self._answer_light)
        return True

    def is_light(self, rows: int) -> bool:
        """Tell whether so many rows are computed on the event loop, soon."""
        return rows <= self._light_rows

    def flush(self) -> None:
        """Answer all light requests now."""
        while self._light:
            self._answer_light()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        # Before Python 3.12, to ask for the running loop is a system call.
        if self._loop is None or not self._loop.is_running():
            self._loop = asyncio.get_running_loop()
        return self._loop

    def _answer_light(self) -> None:
        parts = _closed_batch(self._light, max(1, self._light_rows))
        if self._light:
            self._running_loop().call_soon(self._answer_light)
        if parts:
            self._finish(parts, self._compute(parts))

    def _start_heavy(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._is_busy:
            return
        parts = _closed_batch(self._heavy, self._engine.max_batch_rows)
        if not parts:
            return
        self._is_busy = True
        computed = loop.run_in_executor(self._device_thread, self._compute, parts)
        computed.add_done_callback(partial(self._finish_heavy, loop, parts))

    def _finish_heavy(
        self,
        loop: asyncio.AbstractEventLoop,
        parts: Sequence[_Part],
        computed: asyncio.Future[list[Outcome]],
    ) -> None:
        self._is_busy = False
        self._finish(parts, computed.result())
        self._start_heavy(loop)

    def _finish(self, parts: Sequence[_Part], outcomes: Sequence[Outcome]) -> None:
        self._on_batch(sum(len(part.rows) for part in parts))
        for part, outcome in zip(parts, outcomes, strict=True):
            part.job.take(outcome)

    def _compute(self, parts: Sequence[_Part]) -> list[Outcome]:
        """Compute a batch; where it fails, each part alone, so that one fails alone."""
        for part in parts:
            part.job.ticket.enter(INFER)
        if len(parts) > 1:
            outcome = self._outcome(np.concatenate([part.rows for part in parts]))
            if isinstance(outcome, Answer):
                return _split(outcome, [len(part.rows) for part in parts])
        return [self._outcome(part.rows) for part in parts]

    def _outcome(self, rows: Float64Array) -> Outcome:
        try:
            return self._engine.answer(rows)
        # Whatever it is, it is raised where the request waits for it.
        except Exception as error:
            return as_memory_error(error) or error


def _closed_batch(jobs: deque[_Job], max_rows: int) -> list[_Part]:
    """Take rows from the front; a job with rows left goes to the back.

    Jobs that are in vain are finished here, without a batch.
    """
    parts: list[_Part] = []
    left = max_rows
    now = perf_counter()
    while jobs and (left > 0 or not parts):
        job = jobs.popleft()
        if job.ticket.is_over(now):
            job.take(job.ticket.fault())
        if job.is_done:
            continue
        rows = job.rows[job.taken : job.taken + left]
        job.taken += len(rows)
        left -= len(rows)
        parts.append(_Part(job, rows))
        if job.taken < len(job.rows):
            jobs.append(job)
    return parts


def _split(answer: Answer, counts: Sequence[int]) -> list[Outcome]:
    answers: list[Outcome] = []
    start = 0
    for count in counts:
        stop = start + count
        logits, likely, labels = answer
        answers.append(
            Answer(logits[start:stop], likely[start:stop], labels[start:stop])
        )
        start = stop
    return answers


def _joined(answers: Sequence[Answer]) -> Answer:
    logits, likely, labels = map(np.concatenate, zip(*answers, strict=True))
    return Answer(logits, likely, labels)
