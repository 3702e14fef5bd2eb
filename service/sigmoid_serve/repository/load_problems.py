"""Problems of models and versions that cannot be loaded, for clients and for the log.

Clients see the names of models and versions; only the log has the paths of files.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from sigmoid_models.messages import one_line
from sigmoid_serve.errors import shown

Severity: TypeAlias = Literal["fatal", "listed", "logged", "quiet"]
"""`fatal` fails the start, and is listed after it; `listed` is shown to clients and
logged; `logged` is of something that is no model; `quiet` is of a file that is served
under another name."""

MOST_LISTED: Final = 20

_MOST_LOGGED: Final = 100
# A refusal may hold the command that gets at the weights.
_REASON_CHARACTERS: Final = 800
_LEVELS: Final[dict[Severity, int]] = {
    "fatal": logging.ERROR,
    "listed": logging.WARNING,
    "logged": logging.WARNING,
    "quiet": logging.INFO,
}

logger = logging.getLogger("sigmoid_serve")


class LoadProblem(NamedTuple):
    """Why a model, or a version of it, cannot be served.

    Attributes:
        name: Of the model, as its file or folder is called; any text.
        version: As its folder is called; None if it is about the whole model.
        reason: What is wrong, and what to do; without the path.
        sentence: The same with the path.
        severity: Who is told of it, and whether the start fails.
        sha256: Of the file, if it was read.
    """

    name: str
    version: str | None
    reason: str
    sentence: str
    severity: Severity
    sha256: str = ""

    @property
    def is_listed(self) -> bool:
        """Whether clients are told of it."""
        return self.severity in ("fatal", "listed")

    @property
    def label(self) -> str:
        """`NAME` or `NAME/VERSION`, safe to show."""
        version = "" if self.version is None else f"/{shown(self.version)}"
        return f"{shown(self.name)}{version}"


def load_problem(
    name: str,
    version: str | None,
    path: Path,
    finding: str,
    remedy: str,
    severity: Severity = "listed",
) -> LoadProblem:
    """Make the problem of a model or version.

    Args:
        name: See `LoadProblem`.
        version: See `LoadProblem`.
        path: Of the file or folder.
        finding: What is wrong; without a path.
        remedy: What to do.
        severity: See `Severity`.
    """
    reason = one_line(f"{finding}; {remedy}")
    if len(reason) > _REASON_CHARACTERS:
        reason = f"{reason[: _REASON_CHARACTERS - 1]}…"
    return LoadProblem(
        name, version, reason, f"{one_line(str(path))}: {reason}", severity
    )


def listed(problems: Iterable[LoadProblem]) -> tuple[LoadProblem, ...]:
    """Keep the problems that clients are told of, in the order of their labels."""
    return tuple(sorted({each for each in problems if each.is_listed}, key=_place))


def replaced(
    passed_over: Sequence[LoadProblem], name: str, problems: Iterable[LoadProblem]
) -> tuple[LoadProblem, ...]:
    """Replace the problems of one model by those that it has now."""
    others = (each for each in passed_over if each.name != name)
    return listed((*others, *problems))


def describe_problems(
    problems: Sequence[LoadProblem], most: int = MOST_LISTED
) -> list[str]:
    """Write a sentence for each of the first problems, and how many more there are."""
    sentences = [f"{each.label}: {each.reason}" for each in problems[:most]]
    return sentences + more(len(problems), most)


def more(count: int, most: int) -> list[str]:
    """Write how many more there are than are shown, if any."""
    return [f"and {count - most} more"] if count > most else []


def log_passed_over(problems: Sequence[LoadProblem]) -> None:
    """Log what is not served."""
    for each in problems[:_MOST_LOGGED]:
        logger.log(
            _LEVELS[each.severity], "passed over: %s: %s", each.label, each.sentence
        )
    for rest in more(len(problems), _MOST_LOGGED):
        logger.warning("passed over: %s", rest)


def _place(each: LoadProblem) -> tuple[str, str]:
    return each.name, each.version or ""
