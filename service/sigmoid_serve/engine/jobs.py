"""Requests that wait for their rows to be computed: in parts, in turn, or in vain."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

import numpy as np

from sigmoid_models.dtype import Float64Array
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.engine.engine import Prediction, RowError

Outcome = Prediction | Exception


@dataclass(eq=False, slots=True)
class Job:
    """A request's rows, how many of them went into batches, and what came back.

    Attributes:
        rows: Of the request, `(rows, features)`.
        state: Of the request.
        done: Called once with the answer, or with the error of the first rows that
            have one.
        taken: Rows that went into batches, from the front.
        parts: Where the rows are split, the answers by first row, None while they are
            computed.
        error: Of the first rows that have one so far, and the first of these rows.
        is_done: Whether `done` was called.
    """

    rows: Float64Array
    state: RequestState
    done: Callable[[Outcome], None]
    taken: int = 0
    parts: dict[int, Prediction | None] | None = None
    error: tuple[int, Exception] | None = None
    is_done: bool = False

    def next_part(self, most_rows: int) -> "Part":
        """Take rows from the front of those that are left."""
        start, rows = self.taken, self.rows
        if start or len(rows) > most_rows:
            rows = rows[start : start + most_rows]
            if self.parts is None:
                self.parts = {}
            self.parts[start] = None
        self.taken += len(rows)
        return Part(self, start, rows)

    def take(self, start: int, outcome: Outcome) -> None:
        """Keep the outcome of a part; finish once all is known."""
        if self.parts is None:
            self.finish(outcome)
            return
        if isinstance(outcome, Prediction):
            self.parts[start] = outcome
        else:
            del self.parts[start]
            if isinstance(outcome, RowError):
                outcome.index = (start + outcome.index[0], *outcome.index[1:])
            if self.error is None or start < self.error[0]:
                self.error = start, outcome
        computing = [at for at, part in self.parts.items() if part is None]
        if self.error is None:
            if self.taken == len(self.rows) and not computing:
                parts = [part for _, part in sorted(self.parts.items()) if part]
                self.finish(joined(parts))
        # What is still computed may have an error of earlier rows.
        elif all(self.error[0] < at for at in computing):
            self.finish(self.error[1])

    def finish(self, outcome: Outcome) -> None:
        """Hand on the outcome, the first time."""
        if not self.is_done:
            self.is_done = True
            self.done(outcome)


class Part(NamedTuple):
    """Rows of one job that go into one batch, and the place of the first in the job."""

    job: Job
    start: int
    rows: Float64Array


class Waiting:
    """Jobs with rows that are in no batch yet.

    Attributes:
        jobs: The next one first.
        rows: That are waiting.
    """

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()
        self.rows = 0

    def append(self, job: Job) -> None:
        """Let a job wait."""
        self.jobs.append(job)
        self.rows += len(job.rows)

    def take_batch(self, max_rows: int) -> list[Part]:
        """Take rows from the front; a job with rows left goes to the back.

        Jobs that are in vain are finished here, without a batch.
        """
        parts: list[Part] = []
        left = max_rows
        now = perf_counter()
        while self.jobs and (left > 0 or not parts):
            job = self.jobs.popleft()
            if job.state.should_stop(now):
                job.finish(job.state.stop_error())
            if job.is_done or job.error is not None:
                self.rows -= len(job.rows) - job.taken
                continue
            part = job.next_part(left)
            left -= len(part.rows)
            self.rows -= len(part.rows)
            parts.append(part)
            if job.taken < len(job.rows):
                self.jobs.append(job)
        return parts


def split(prediction: Prediction, counts: Sequence[int]) -> list[Outcome]:
    """Divide what the model says of all rows of a batch among its parts."""
    predictions: list[Outcome] = []
    start = 0
    for count in counts:
        stop = start + count
        logits, likely, labels = prediction
        predictions.append(
            Prediction(logits[start:stop], likely[start:stop], labels[start:stop])
        )
        start = stop
    return predictions


def joined(predictions: Sequence[Prediction]) -> Prediction:
    """Put the predictions for the parts of a request together."""
    logits, likely, labels = map(np.concatenate, zip(*predictions, strict=True))
    return Prediction(logits, likely, labels)
