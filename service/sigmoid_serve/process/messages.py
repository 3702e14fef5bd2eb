"""The messages between the supervisor and its workers.

A worker sends `WorkerConnected`, is told what to `Serve`, and sends its `LoadResult`.
An update of a model is `Prepare` to all workers; each replies `Prepared`; then `Commit`
or `Abort` to all, and each replies `Committed`. An update without files unloads the
model. A worker that was asked for a change sends a `ReloadRequest` or an
`UnloadRequest`, and gets a `ChangeResult`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sigmoid_serve.errors import Code
from sigmoid_serve.process.announcement import Served
from sigmoid_serve.registry.registry import Unloaded
from sigmoid_serve.repository.load_problems import LoadProblem
from sigmoid_serve.repository.model_repository import CheckpointContent


class Serve(NamedTuple):
    """To a worker: load and serve these files.

    Attributes:
        contents: Of the files of all models.
        default: Name of the default model; if empty, the first that can be served.
        passed_over: The problems of other files.
        unloaded: The models that were unloaded.
        is_known: Whether other workers serve all of the files.
    """

    contents: Sequence[CheckpointContent]
    default: str
    passed_over: Sequence[LoadProblem]
    unloaded: Unloaded
    is_known: bool


class Prepare(NamedTuple):
    """To a worker: load all versions of a model, but do not serve them yet.

    Attributes:
        update: Its number.
        contents: Of the model's files; none of a model that is to be unloaded.
    """

    update: int
    contents: Sequence[CheckpointContent]


class Commit(NamedTuple):
    """To a worker: serve what it prepared, and what is unloaded no more.

    Attributes:
        update: Its number.
        passed_over: The problems of all models now.
        unloaded: All models that are unloaded now.
    """

    update: int
    passed_over: Sequence[LoadProblem]
    unloaded: Unloaded


class Abort(NamedTuple):
    """To a worker: forget what it prepared; these are the problems of all models."""

    update: int
    passed_over: Sequence[LoadProblem]


class Drain(NamedTuple):
    """To a worker: shut down in so many seconds."""

    seconds: float


class ChangeResult(NamedTuple):
    """To a worker: the result of what it asked for; no code for success."""

    request: int
    code: Code | None
    detail: str


class WorkerConnected(NamedTuple):
    """To the supervisor: the worker has started, and receives messages."""


class LoadResult(NamedTuple):
    """To the supervisor: the worker serves, or why it cannot.

    Attributes:
        error: Why it cannot serve, if so.
        problems: Of files that it could not load.
        served: What it serves.
    """

    error: str | None
    problems: Sequence[LoadProblem] = ()
    served: Served | None = None


class Prepared(NamedTuple):
    """To the supervisor: the worker has loaded an update, but for these problems."""

    update: int
    problems: Sequence[LoadProblem]


class Committed(NamedTuple):
    """To the supervisor: the worker has committed an update, or forgotten it."""

    update: int


class ReloadRequest(NamedTuple):
    """To the supervisor: a client of the worker asks for the reload of a model."""

    request: int
    name: str


class UnloadRequest(NamedTuple):
    """To the supervisor: a client of the worker asks to serve a model no more."""

    request: int
    name: str
