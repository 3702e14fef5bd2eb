"""The versions of a model that is a folder: `VERSION/model.safetensors`."""

from collections import defaultdict
from collections.abc import Iterator
from os.path import isfile
from pathlib import Path
from typing import Final

from sigmoid_serve.repository.candidates import (
    LAYOUT,
    Candidate,
    CheckpointFile,
    unreadable,
)
from sigmoid_serve.repository.load_problems import LoadProblem, Severity, load_problem
from sigmoid_serve.repository.naming import is_version
from sigmoid_serve.repository.places import (
    describe_os_error,
    distinct,
    entries,
    is_checkpoint_name,
    is_model_file,
    kind_of,
)

_RULE: Final = "a version is a decimal number of up to 30 digits"


def is_model_folder(folder: Path) -> bool:
    """Whether a folder that was named is a model, not a folder of models.

    Raises:
        OSError: It cannot be read.
    """
    return any(
        is_version(entry.name) and _has_model_file(entry) for entry in entries(folder)
    )


def folder_candidate(name: str, folder: Path) -> Candidate:
    """Find the versions in the folder of a model."""
    try:
        kept, repeated = distinct(entries(folder), folder)
    except OSError as error:
        return unreadable(name, folder, error)
    numbers: dict[int, list[Path]] = defaultdict(list)
    problems = [_repeated(name, entry) for entry in repeated]
    for entry in kept:
        if is_version(entry.name) and not isfile(entry):
            numbers[int(entry.name)].append(entry)
        else:
            problems += _beside(name, entry)
    versions = [entry for same in numbers.values() for entry in same]
    is_there = any(_holds_checkpoint(entry, unless_known=True) for entry in versions)
    if not is_there and not any(each.is_listed for each in problems):
        return _without_versions(name, folder)
    for same in numbers.values():
        if len(same) > 1:
            shown = " and ".join(entry.name for entry in same[:2])
            finding = f"its versions {shown} are one number"
            problem = load_problem(name, None, folder, finding, "remove one of them")
            return Candidate(name, folder, (), (problem,))
    found = [_version(name, entry) for entry in versions]
    return Candidate(
        name,
        folder,
        tuple(each for each in found if isinstance(each, CheckpointFile)),
        (*problems, *(each for each in found if isinstance(each, LoadProblem))),
    )


def _version(name: str, folder: Path) -> CheckpointFile | LoadProblem:
    """Find the one checkpoint of a version."""
    files: list[Path] = []
    errors = []
    try:
        candidates = [entry for entry in entries(folder) if is_model_file(entry)]
    except OSError as error:
        candidates = []
        errors.append(describe_os_error(folder, error))
    for path in distinct(candidates).kept:
        try:
            if kind_of(path) == "file":
                files.append(path)
        except OSError as error:
            errors.append(describe_os_error(path, error))
    if len(files) == 1:
        return CheckpointFile(name, folder.name, files[0])
    errors.append((f"it has {len(files)} checkpoints", "expected one file model.*"))
    return load_problem(name, folder.name, folder, *errors[0])


def _beside(name: str, entry: Path) -> Iterator[LoadProblem]:
    """Describe an entry beside the versions that is none, if it is worth a line."""
    is_file = isfile(entry)
    if is_file and not is_checkpoint_name(entry):
        return
    is_model = not is_file and _has_model_file(entry)
    yield load_problem(
        name,
        entry.name,
        entry,
        _RULE,
        "rename the folder" if is_model else "it is no version",
        "listed" if is_model else "logged",
    )


def _repeated(name: str, entry: Path) -> LoadProblem:
    finding = "the link leads to what another version is"
    return load_problem(name, entry.name, entry, finding, "it is left out", "quiet")


def _without_versions(name: str, folder: Path) -> Candidate:
    severity: Severity = "listed" if _holds_checkpoint(folder) else "logged"
    problem = load_problem(
        name, None, folder, "the folder has no versions", LAYOUT, severity
    )
    return Candidate(name, folder, (), (problem,))


def _has_model_file(folder: Path) -> bool:
    try:
        return any(map(is_model_file, entries(folder)))
    except OSError:
        return False


def _holds_checkpoint(folder: Path, *, unless_known: bool = False) -> bool:
    try:
        return any(map(is_checkpoint_name, entries(folder)))
    except OSError:
        return unless_known
