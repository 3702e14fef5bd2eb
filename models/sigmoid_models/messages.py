"""Messages for people, and the errors whose message is all that they need.

Nothing here takes long to import: the command line knows the errors before it knows
which of the heavier modules they come from.
"""

from pathlib import Path


class UserError(Exception):
    """What the user can mend, told in one sentence; no traceback would add to it."""


class UsageError(UserError):
    """What was typed cannot be meant, whatever there is on the machine."""


class CheckpointError(UserError):
    """A file that cannot be served: which file, what was found, what to do.

    Attributes:
        finding: What was found, without the path.
        remedy: What to do about it.
    """

    def __init__(self, path: Path, finding: str, remedy: str) -> None:
        super().__init__(one_line(f"{path}: {finding}; {remedy}"))
        self.finding = finding
        self.remedy = remedy


def one_line(text: str) -> str:
    """Escape, as Python does, the characters that cannot be printed.

    Names of files, and what stands in them, may hold any character.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
