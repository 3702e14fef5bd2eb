"""What the supervisor and its workers say to each other.

A worker says `Hello`, and is told what to `Serve`. A change of a model is `Prepare` to
all workers; each answers `Prepared`; then `Commit` to all, or `Abort`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sigmoid_serve.errors import Code
from sigmoid_serve.repository.load_problems import Trouble
from sigmoid_serve.repository.model_repository import File


class Serve(NamedTuple):
    """To a worker: what it serves from now on.

    Attributes:
        files: Of all models.
        default: Name of the default model; the first that can be served where empty.
        passed_over: What cannot be served.
        is_known: Whether others serve all of the files.
    """

    files: Sequence[File]
    default: str
    passed_over: Sequence[Trouble]
    is_known: bool


class Prepare(NamedTuple):
    """To a worker: load all versions of a model, but do not serve them yet."""

    change: int
    files: Sequence[File]


class Commit(NamedTuple):
    """To a worker: serve what it prepared, and tell what cannot be served."""

    change: int
    passed_over: Sequence[Trouble]


class Abort(NamedTuple):
    """To a worker: forget what it prepared, and tell what cannot be served."""

    change: int
    passed_over: Sequence[Trouble]


class Drain(NamedTuple):
    """To a worker: end, in so many seconds."""

    seconds: float


class Reloaded(NamedTuple):
    """To a worker: how the reload ended that it asked for."""

    request: int
    code: Code | None
    detail: str


class Hello(NamedTuple):
    """To the supervisor: the worker listens."""


class Started(NamedTuple):
    """To the supervisor: the worker serves, or why it cannot.

    Attributes:
        fault: Why it cannot, if so.
        troubles: Of which files it found out that they cannot be served.
    """

    fault: str | None
    troubles: Sequence[Trouble] = ()


class Prepared(NamedTuple):
    """To the supervisor: the worker is ready to swap; which files cannot be served."""

    change: int
    troubles: Sequence[Trouble]


class Committed(NamedTuple):
    """To the supervisor: the worker has swapped, or has forgotten."""

    change: int


class Reload(NamedTuple):
    """To the supervisor: an admin wants a model reloaded."""

    request: int
    name: str
