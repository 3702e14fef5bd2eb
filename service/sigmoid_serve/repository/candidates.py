"""Candidates for models: what lies at a path, under the name that the path gives."""

from pathlib import Path
from typing import Final, NamedTuple

from sigmoid_models.checkpoint import MAX_BYTES
from sigmoid_serve.repository.load_problems import LoadProblem, Severity, load_problem
from sigmoid_serve.repository.naming import describe_bad_name, is_name
from sigmoid_serve.repository.places import describe_os_error

LAYOUT: Final = "expected NAME/VERSION/model.safetensors"


class CheckpointFile(NamedTuple):
    """A checkpoint file on disk, and the model and version that it is served as.

    Attributes:
        name: Of the model.
        version: The name of its folder; 1 for a file outside of a version folder.
        path: Of the file.
        is_named: Whether it was named; then the start fails if nothing of its model
            can be served.
        max_bytes: Most bytes that the file may have.
    """

    name: str
    version: str
    path: Path
    is_named: bool = False
    max_bytes: int = MAX_BYTES


class Candidate(NamedTuple):
    """A file or folder that may be a model.

    Attributes:
        name: That it gives the model; any text.
        place: Path of the file or folder.
        files: Its checkpoints that may be served.
        problems: Why others of it cannot be served.
    """

    name: str
    place: Path
    files: tuple[CheckpointFile, ...] = ()
    problems: tuple[LoadProblem, ...] = ()

    @property
    def is_model(self) -> bool:
        """Whether it is a model, even one that cannot be served."""
        return bool(self.files) or any(each.is_listed for each in self.problems)

    @property
    def is_named(self) -> bool:
        """Whether it was named; then the start fails if nothing of it can be served."""
        return any(each.is_named for each in self.files)

    def named(self, name: str | None = None) -> "Candidate":
        """Return it as one that was named itself, maybe with a name for its model."""
        name = self.name if name is None else name
        files = [each._replace(name=name, is_named=True) for each in self.files]
        problems = [each._replace(name=name) for each in self.problems]
        if not files:
            problems = [
                each._replace(severity="fatal") if each.is_listed else each
                for each in problems
            ]
        return self._replace(name=name, files=tuple(files), problems=tuple(problems))

    def checked(self) -> "Candidate":
        """Return it, or a problem in its place if its name cannot be a model's."""
        is_refused = any(each.severity == "fatal" for each in self.problems)
        if is_name(self.name) or is_refused or not self.is_model:
            return self
        severity: Severity = "fatal" if self.is_named else "listed"
        problem = load_problem(
            self.name, None, self.place, *describe_bad_name(self.name), severity
        )
        return Candidate(self.name, self.place, (), (problem,))


def unservable(name: str, place: Path, finding: str, remedy: str) -> Candidate:
    """Describe a path that was named and cannot be served."""
    problem = load_problem(name, None, place, finding, remedy, "fatal")
    return Candidate(name, place, (), (problem,))


def unreadable(name: str, place: Path, error: OSError) -> Candidate:
    """Describe a path that was found in a folder and cannot be read."""
    severity: Severity = "listed" if is_name(name) else "logged"
    problem = load_problem(
        name, None, place, *describe_os_error(place, error), severity
    )
    return Candidate(name, place, (), (problem,))
