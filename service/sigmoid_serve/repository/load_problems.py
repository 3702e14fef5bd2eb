"""What cannot be served, and how that is told.

Whoever asks is told by the names of models and versions; where the files lie is for
the log.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from sigmoid_models.messages import one_line
from sigmoid_serve.errors import shown

Weight: TypeAlias = Literal["fatal", "listed", "logged", "quiet"]
"""`fatal` stops the start, and is listed later on; `listed` is told to whoever asks,
and logged; `logged` is no model at all; `quiet` is what is served by another name."""

MOST_LISTED: Final = 20

_MOST_LOGGED: Final = 100
_REASON_CHARACTERS: Final = 320
_LEVELS: Final[dict[Weight, int]] = {
    "fatal": logging.ERROR,
    "listed": logging.WARNING,
    "logged": logging.WARNING,
    "quiet": logging.INFO,
}

logger = logging.getLogger("sigmoid_serve")


class Trouble(NamedTuple):
    """A model, or a version of it, that cannot be served.

    Attributes:
        name: Of the model, as its file or folder has it; any text.
        version: As its folder has it; None where it is about the whole model.
        reason: What was found, and what to do; without the path.
        sentence: The same with the path.
        weight: What it means for the others.
        sha256: Of the file, where it was read.
    """

    name: str
    version: str | None
    reason: str
    sentence: str
    weight: Weight
    sha256: str = ""

    @property
    def is_listed(self) -> bool:
        """Whether those who ask are told of it."""
        return self.weight in ("fatal", "listed")

    @property
    def label(self) -> str:
        """`NAME` or `NAME/VERSION`, safe to show."""
        version = "" if self.version is None else f"/{shown(self.version)}"
        return f"{shown(self.name)}{version}"


def trouble(
    name: str,
    version: str | None,
    path: Path,
    finding: str,
    remedy: str,
    weight: Weight = "listed",
) -> Trouble:
    """Describe what cannot be served.

    Args:
        name: See `Trouble`.
        version: See `Trouble`.
        path: Of the file or folder.
        finding: What is wrong; without a path.
        remedy: What to do.
        weight: See `Weight`.
    """
    reason = one_line(f"{finding}; {remedy}")
    if len(reason) > _REASON_CHARACTERS:
        reason = f"{reason[: _REASON_CHARACTERS - 1]}…"
    return Trouble(name, version, reason, f"{one_line(str(path))}: {reason}", weight)


def listed(troubles: Iterable[Trouble]) -> tuple[Trouble, ...]:
    """Keep those that whoever asks is told of, in the order of their labels."""
    return tuple(sorted({each for each in troubles if each.is_listed}, key=_place))


def replaced(
    passed_over: Sequence[Trouble], name: str, troubles: Iterable[Trouble]
) -> tuple[Trouble, ...]:
    """Put what is known of one model now in place of what was known of it."""
    others = (each for each in passed_over if each.name != name)
    return listed((*others, *troubles))


def told(troubles: Sequence[Trouble], most: int = MOST_LISTED) -> list[str]:
    """Write a sentence each for the first of them, and how many more there are."""
    sentences = [f"{each.label}: {each.reason}" for each in troubles[:most]]
    return sentences + more(len(troubles), most)


def more(count: int, most: int) -> list[str]:
    """Write how many are not told of, if any."""
    return [f"and {count - most} more"] if count > most else []


def log_passed_over(troubles: Sequence[Trouble]) -> None:
    """Name in the log what is not served."""
    for each in troubles[:_MOST_LOGGED]:
        logger.log(
            _LEVELS[each.weight], "passed over: %s: %s", each.label, each.sentence
        )
    for rest in more(len(troubles), _MOST_LOGGED):
        logger.warning("passed over: %s", rest)


def _place(each: Trouble) -> tuple[str, str]:
    return each.name, each.version or ""
