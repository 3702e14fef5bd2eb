"""The error of a file that cannot be served."""

from pathlib import Path

from sigmoid_models.messages import UserError, one_line


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
