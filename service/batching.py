"""The rows of waiting requests into common batches; to each request its own rows.

Nothing waits for a batch to fill. Light requests, which on the CPU take less time than
handing them to a thread and back is worth, are gathered as long as others that have
arrived are yet to be read, and computed by the last of them: at low load that is one
request at once, at high load all that came in meanwhile. Heavy ones, and all on a GPU,
are computed on a thread of the device; a batch of them is closed when the device is
free. A long request is split, and takes turns with the others.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

import numpy as np

from models.dtype import Float64Array
from service.engine import Answer, Engine, RowError
from service.timing import INFER, QUEUE, Timings

# Multiplications of a light batch, about a millisecond's.
_LIGHT_PRODUCTS: Final = 2**23


@dataclass(eq=False, slots=True)
class _Job:
    """A request's rows, how many of them went into batches, and what came back."""

    rows: Float64Array
    timings: Timings
    future: asyncio.Future[Answer]
    taken: int = 0
    answers: list[Answer] = field(default_factory=list)

    def take(self, outcome: Answer | Exception) -> None:
        """Keep the answer to the next rows; finish with the last, or with an error."""
        if self.future.done():
            return
        if isinstance(outcome, RowError):
            done = sum(len(answer.logits) for answer in self.answers)
            outcome.index = (done + outcome.index[0], *outcome.index[1:])
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
            return
        self.answers.append(outcome)
        if self.taken == len(self.rows):
            whole = len(self.answers) == 1
            self.future.set_result(outcome if whole else _joined(self.answers))


class _Part(NamedTuple):
    """Rows of one job that go into one batch."""

    job: _Job
    rows: Float64Array


class Arrivals:
    """How many requests have arrived that the application has yet to begin.

    Attributes:
        waiting: That number; where nobody counts, it seems that one always is.
    """

    __slots__ = ("_is_counted", "waiting")

    def __init__(self) -> None:
        self.waiting = 1
        self._is_counted = False

    def begin_counting(self) -> None:
        """Promise that from now on `waiting` is increased for every request."""
        self.waiting = 0
        self._is_counted = True

    def begin(self) -> None:
        """Begin a request."""
        if self._is_counted and self.waiting > 0:
            self.waiting -= 1

    def forget(self) -> None:
        """Begin anew: a request that never begins must not hold up others for ever."""
        if self._is_counted:
            self.waiting = 0


class Batcher:
    """Gathers requests to one engine, on one event loop.

    Args:
        engine: Computes the batches.
        device_thread: One thread, shared by all engines of a device.
        arrivals: Tells whether others may join a batch.
    """

    def __init__(
        self, engine: Engine, device_thread: Executor, arrivals: Arrivals
    ) -> None:
        self._engine = engine
        self._device_thread = device_thread
        self._arrivals = arrivals
        on_cpu = engine.device.type == "cpu"
        self._light_rows = _LIGHT_PRODUCTS // engine.products if on_cpu else 0
        self._light: deque[_Job] = deque()
        self._heavy: deque[_Job] = deque()
        self._is_busy = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def answer(self, rows: Float64Array, timings: Timings) -> Answer:
        """Compute the answer to raw features, finite, `(rows, features)`.

        Raises:
            RowError: For a row of this request.
        """
        loop = self._loop
        # Before Python 3.12, to ask for the running loop is a system call.
        if loop is None or not loop.is_running():
            loop = self._loop = asyncio.get_running_loop()
        timings.enter(QUEUE)
        job = _Job(rows, timings, loop.create_future())
        if len(rows) > self._light_rows:
            self._heavy.append(job)
            self._start_heavy(loop)
        else:
            self._light.append(job)
            if self._arrivals.waiting == 0:
                self._answer_light(loop)
            elif len(self._light) == 1:
                loop.call_soon(self._answer_left, loop)
        return await job.future

    def _answer_left(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer those whose last did not come here: it asked something else."""
        self._arrivals.forget()
        if self._light:
            self._answer_light(loop)

    def _answer_light(self, loop: asyncio.AbstractEventLoop) -> None:
        parts = _closed_batch(self._light, max(1, self._light_rows))
        if self._light:
            loop.call_soon(self._answer_left, loop)
        for part, outcome in zip(parts, self._compute(parts), strict=True):
            part.job.take(outcome)

    def _start_heavy(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._is_busy or not self._heavy:
            return
        self._is_busy = True
        parts = _closed_batch(self._heavy, self._engine.max_batch_rows)
        computed = loop.run_in_executor(self._device_thread, self._compute, parts)
        computed.add_done_callback(partial(self._finish_heavy, loop, parts))

    def _finish_heavy(
        self,
        loop: asyncio.AbstractEventLoop,
        parts: Sequence[_Part],
        computed: asyncio.Future[list[Answer | Exception]],
    ) -> None:
        self._is_busy = False
        for part, outcome in zip(parts, computed.result(), strict=True):
            part.job.take(outcome)
        self._start_heavy(loop)

    def _compute(self, parts: Sequence[_Part]) -> list[Answer | Exception]:
        """Compute a batch; where it fails, each part alone, so that one fails alone."""
        for part in parts:
            part.job.timings.enter(INFER)
        if len(parts) > 1:
            outcome = self._outcome(np.concatenate([part.rows for part in parts]))
            if isinstance(outcome, Answer):
                return _split(outcome, [len(part.rows) for part in parts])
        return [self._outcome(part.rows) for part in parts]

    def _outcome(self, rows: Float64Array) -> Answer | Exception:
        try:
            return self._engine.answer(rows)
        # Whatever it is, it is raised where the request waits for it.
        except Exception as error:
            return error


def _closed_batch(jobs: deque[_Job], max_rows: int) -> list[_Part]:
    """Take rows from the front; a job with rows left goes to the back."""
    parts: list[_Part] = []
    left = max_rows
    while jobs and (left > 0 or not parts):
        job = jobs.popleft()
        rows = job.rows[job.taken : job.taken + left]
        job.taken += len(rows)
        left -= len(rows)
        parts.append(_Part(job, rows))
        if job.taken < len(job.rows):
            jobs.append(job)
    return parts


def _split(answer: Answer, counts: Sequence[int]) -> list[Answer | Exception]:
    answers: list[Answer | Exception] = []
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
