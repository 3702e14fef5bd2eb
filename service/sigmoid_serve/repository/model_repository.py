"""The model repository on disk: scanned again whenever it is asked, and read."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import sigmoid_models
from sigmoid_models.checkpoint import (
    MAX_BYTES,
    CheckpointError,
    FileBytes,
    read_bytes,
)
from sigmoid_serve.configuration.environment import variable
from sigmoid_serve.repository.candidates import CheckpointFile
from sigmoid_serve.repository.load_problems import LoadProblem, load_problem
from sigmoid_serve.repository.naming import Named, read_named
from sigmoid_serve.repository.overlaps import (
    without_clashes,
    without_repeats,
    without_stores,
)
from sigmoid_serve.repository.scanning import scan_path

PRETRAINED: Final = Path(sigmoid_models.__file__).parent / "pretrained"
_LIMIT: Final = variable("max_checkpoint_bytes")


class CheckpointContent(NamedTuple):
    """A checkpoint file as it was read.

    Attributes:
        file: Which it is.
        data: Its bytes, until a `Loader` has loaded them: then they are given back.
        sha256: Of the bytes, in hexadecimal.
    """

    file: CheckpointFile
    data: FileBytes
    sha256: str


class ScanResult(NamedTuple):
    """What a scan of the repository has found.

    Attributes:
        files: Those that may be served; one of the default model comes first.
        problems: Why others cannot be served.
    """

    files: list[CheckpointFile]
    problems: list[LoadProblem]


class ModelRepository(NamedTuple):
    """The files and folders in which models are looked for.

    Attributes:
        named: The files and folders.
        is_ordered: Whether the first model of the first is the default; else it is the
            first by name.
        max_bytes: Most bytes that a file may have.
    """

    named: Sequence[Named]
    is_ordered: bool
    max_bytes: int = MAX_BYTES

    def scan(self) -> ScanResult:
        """Look at all files and folders as they are now; no file is read."""
        candidates = [
            candidate.checked() for each in self.named for candidate in scan_path(each)
        ]
        candidates = without_repeats(candidates, [each.path for each in self.named])
        candidates = without_clashes(without_stores(candidates))
        if not self.is_ordered:
            candidates.sort(key=lambda candidate: candidate.name)
        return ScanResult(
            [
                file._replace(max_bytes=self.max_bytes)
                for candidate in candidates
                for file in candidate.files
            ],
            [each for candidate in candidates for each in candidate.problems],
        )


def make_repository(
    checkpoints: Sequence[Path], searched: Sequence[Path], max_bytes: int = MAX_BYTES
) -> ModelRepository:
    """Make the repository of what was named.

    Args:
        checkpoints: From the command line, as `PATH` or `NAME=PATH`; their order
            counts.
        searched: The same from the settings, used if there are no `checkpoints`.
        max_bytes: Most bytes that a file may have.
    """
    given = checkpoints or searched or (PRETRAINED,)
    return ModelRepository(
        [read_named(path) for path in given], bool(checkpoints), max_bytes
    )


def read_contents(
    files: Iterable[CheckpointFile],
) -> tuple[list[CheckpointContent], list[LoadProblem]]:
    """Read files, and say which cannot be read."""
    contents, problems = [], []
    for file in files:
        try:
            data = read_bytes(file.path, file.max_bytes, _LIMIT)
        except (CheckpointError, MemoryError) as error:
            problems.append(problem_from_error(file, error))
        else:
            contents.append(CheckpointContent(file, data, sha256(data).hexdigest()))
    return contents, problems


def problem_from_error(
    file: CheckpointFile, error: CheckpointError | MemoryError
) -> LoadProblem:
    """Describe a file that cannot be served, by the error that it caused."""
    if isinstance(error, CheckpointError):
        finding, remedy = error.finding, error.remedy
    else:
        finding, remedy = "it needs more memory than there is", "give it more"
    return load_problem(file.name, file.version, file.path, finding, remedy)
