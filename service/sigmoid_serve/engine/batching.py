"""The rows of waiting requests into common batches; to each request its own rows.

Nothing waits for a batch to fill. Inline requests, which on the CPU take less time than
handing them to a thread and back is worth, are gathered while the event loop reads what
has arrived, and computed right after: at low load that is one request at once, at high
load all that came in meanwhile. Offloaded ones, and all on a GPU, are computed on the
threads of the device; a batch of them is closed when a thread is free. A long request
is split: its parts are computed by all threads side by side, and take turns with other
requests. The batches of a network with large layers are computed one after the other,
each by all cores, so that its weights are read once for all. A request that nobody
waits for any more, or that has waited too long, is left out.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import ceil
from typing import Final

import numpy as np

from sigmoid_models.dtype import Float64Array
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.admission.stages import INFER, QUEUE
from sigmoid_serve.engine.device import DeviceThreads, as_memory_error, shared_by
from sigmoid_serve.engine.engine import Engine, Prediction
from sigmoid_serve.engine.jobs import Job, Outcome, Part, Waiting, split

# Multiplications of an inline batch: some tenths of a millisecond.
_INLINE_MACS: Final = 2**23

# Multiplications that are worth another thread: about 0.7 ms of them.
_PART_MACS: Final = 2**26


def parts_of(macs: int, threads: int) -> int:
    """Say in how many parts threads should divide rows; each costs a hand-over.

    Args:
        macs: Multiplications that all rows take.
        threads: That are free.
    """
    return max(1, min(threads, macs // _PART_MACS))


class Batcher:
    """Gathers requests to one engine, on one event loop.

    Args:
        engine: Computes the batches.
        threads: Of the device, shared by all its engines.
        on_batch: Called with the number of rows of each batch that was computed.
    """

    def __init__(
        self,
        engine: Engine,
        threads: DeviceThreads,
        on_batch: Callable[[int], None],
    ) -> None:
        self._engine = engine
        self._threads = threads
        self._on_batch = on_batch
        on_cpu = engine.device.type == "cpu"
        self._inline_rows = _INLINE_MACS // engine.macs_per_row if on_cpu else 0
        self._inline = Waiting()
        self._offloaded = Waiting()
        self._free_threads = 1 if engine.shared_by > 1 else threads.number
        self._loop: asyncio.AbstractEventLoop | None = None

    async def predict(self, rows: Float64Array, state: RequestState) -> Prediction:
        """Compute the answer to raw features, finite, `(rows, features)`.

        Raises:
            RowError: For a row of this request.
            Expired: It waited too long.
            Abandoned: Its client went away.
            ServiceError: `out_of_memory`.
        """
        future: asyncio.Future[Prediction] = self._running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if future.done():
                return
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        if not self.enqueue_inline(rows, state, done):
            state.enter(QUEUE)
            self._offloaded.append(Job(rows, state, done))
            self._start_offloaded(self._running_loop())
        return await future

    def enqueue_inline(
        self, rows: Float64Array, state: RequestState, done: Callable[[Outcome], None]
    ) -> bool:
        """Put a request into the next batch, if it is one to be computed inline.

        Args:
            rows: Raw features, finite, `(rows, features)`.
            state: Of the request.
            done: Called with the answer, soon or by `flush`.

        Returns:
            Whether it is; if not, nothing was done.
        """
        if not self.is_inline(len(rows)):
            return False
        state.enter(QUEUE)
        self._inline.append(Job(rows, state, done))
        if len(self._inline.jobs) == 1:
            self._running_loop().call_soon(self._answer_inline)
        return True

    def is_inline(self, rows: int) -> bool:
        """Tell whether so many rows are computed on the event loop, soon."""
        return rows <= self._inline_rows

    def flush(self) -> None:
        """Compute the batch of all inline requests now."""
        while self._inline.jobs:
            self._answer_inline()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        # Before Python 3.12, to ask for the running loop is a system call.
        if self._loop is None or not self._loop.is_running():
            self._loop = asyncio.get_running_loop()
        return self._loop

    def _answer_inline(self) -> None:
        parts = self._inline.take_batch(max(1, self._inline_rows))
        if self._inline.jobs:
            self._running_loop().call_soon(self._answer_inline)
        if parts:
            self._finish(parts, self._compute(parts))

    def _start_offloaded(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._free_threads:
            parts = self._offloaded.take_batch(self._share())
            if not parts:
                return
            self._free_threads -= 1
            computed = loop.run_in_executor(
                self._threads.executor, self._compute_shared, parts
            )
            computed.add_done_callback(partial(self._finish_offloaded, loop, parts))

    def _share(self) -> int:
        """Say how many rows a thread should take, so that all have as many."""
        if self._engine.shared_by > 1:
            return self._engine.batch_sizes[0]
        rows = self._offloaded.rows
        parts = parts_of(rows * self._engine.macs_per_row, self._free_threads)
        return min(max(1, ceil(rows / parts)), self._engine.max_batch_rows)

    def _finish_offloaded(
        self,
        loop: asyncio.AbstractEventLoop,
        parts: Sequence[Part],
        computed: asyncio.Future[list[Outcome]],
    ) -> None:
        self._free_threads += 1
        self._finish(parts, computed.result())
        self._start_offloaded(loop)

    def _finish(self, parts: Sequence[Part], outcomes: Sequence[Outcome]) -> None:
        self._on_batch(sum(len(part.rows) for part in parts))
        for part, outcome in zip(parts, outcomes, strict=True):
            part.job.take(part.start, outcome)

    def _compute_shared(self, parts: Sequence[Part]) -> list[Outcome]:
        """Compute a batch with as many of PyTorch's threads as share it."""
        with shared_by(self._engine.shared_by):
            return self._compute(parts)

    def _compute(self, parts: Sequence[Part]) -> list[Outcome]:
        """Compute a batch; where it fails, each part alone, so that one fails alone.

        The outcomes come in the order of the parts.
        """
        for part in parts:
            if not part.start:
                part.job.state.enter(INFER)
        # To put parts together that are long enough alone would only copy them.
        enough = self._engine.batch_sizes[0]
        short = self._computed_together([p for p in parts if len(p.rows) < enough])
        return [
            next(short) if len(part.rows) < enough else self._outcome(part.rows)
            for part in parts
        ]

    def _computed_together(self, parts: Sequence[Part]) -> Iterator[Outcome]:
        if len(parts) > 1:
            outcome = self._outcome(np.concatenate([part.rows for part in parts]))
            if isinstance(outcome, Prediction):
                yield from split(outcome, [len(part.rows) for part in parts])
                return
        for part in parts:
            yield self._outcome(part.rows)

    def _outcome(self, rows: Float64Array) -> Outcome:
        try:
            return self._engine.predict(rows)
        # Whatever it is, it is raised where the request waits for it.
        except Exception as error:
            return as_memory_error(error) or error
