"""Scanning of a path that was named for candidates.

A file is one model, version 1, named by its stem. A folder is a model if it has a
version with a checkpoint; any other folder holds models, as such folders and as files;
and if it has none, it may hold such folders of models some levels down.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sigmoid_serve.repository.candidates import (
    LAYOUT,
    Candidate,
    CheckpointFile,
    unreadable,
    unservable,
)
from sigmoid_serve.repository.load_problems import describe_problems, load_problem
from sigmoid_serve.repository.naming import Named
from sigmoid_serve.repository.places import (
    describe_os_error,
    entries,
    is_checkpoint_name,
    kind_of,
    real,
    stem,
)
from sigmoid_serve.repository.roots import MOST_ENTRIES, roots_below
from sigmoid_serve.repository.versions import folder_candidate, is_model_folder

_MOST_NAMED: Final = 5


def scan_path(named: Named) -> list[Candidate]:
    """List the candidates at a path that was named; there is at least one."""
    path = named.path
    name = _own_name(path) if named.name is None else named.name
    try:
        kind = kind_of(path)
        if kind == "folder" and is_model_folder(path):
            return [folder_candidate(name, path).named()]
        inside = entries(path) if kind == "folder" else []
    except OSError as error:
        return [unservable(name, path, *describe_os_error(path, error))]
    if kind == "neither":
        finding = "it is neither a file nor a folder"
        return [unservable(name, path, finding, "name a checkpoint")]
    if kind == "file":
        return [_file(name, path, _checkpoint(path) or path).named()]
    found = [candidate for entry in inside for candidate in _candidates_at(entry)]
    if not any(candidate.is_model for candidate in found):
        found = [*_candidates_below(name, path)] or found
    return _select_from_folder(
        named, sorted(found, key=lambda candidate: candidate.name)
    )


def _candidates_below(name: str, top: Path) -> Iterator[Candidate]:
    """List the candidates of the folders of models that are some levels down."""
    roots = roots_below(top)
    for root in roots.folders:
        try:
            inside = entries(root)
        except OSError as error:
            yield unreadable(root.name, root, error)
            continue
        for entry in inside:
            yield from _candidates_at(entry)
    if not roots.is_whole:
        finding = f"of the folders in it only {MOST_ENTRIES} entries were searched"
        remedy = "name the folder of the models itself"
        problem = load_problem(name, None, top, finding, remedy, "logged")
        yield Candidate(name, top, (), (problem,))


def _select_from_folder(named: Named, found: list[Candidate]) -> list[Candidate]:
    """Return the candidates of a folder of models, and a problem if it has none.

    The folder may have been named as one model; then it must have exactly one.
    """
    root, name = named
    models = [candidate for candidate in found if candidate.is_model]
    if not models:
        strange = [each for candidate in found for each in candidate.problems]
        finding = "; ".join(
            ["the folder has no model", *describe_problems(strange, _MOST_NAMED)]
        )
        return [*found, unservable(_own_name(root), root, finding, LAYOUT)]
    if name is None:
        return found
    if len(models) > 1:
        finding = f"its {len(models)} models cannot have one name"
        return [unservable(name, root, finding, "name one of them, or leave NAME= out")]
    others = [candidate for candidate in found if candidate is not models[0]]
    return [models[0].named(name), *others]


def _candidates_at(entry: Path) -> Iterator[Candidate]:
    """List the candidate at an entry of a folder of models, if there is one."""
    name = _own_name(entry)
    try:
        kind = kind_of(entry)
    except OSError as error:
        yield unreadable(name, entry, error)
        return
    if kind == "folder":
        yield folder_candidate(name, entry)
    elif kind == "file" and (path := _checkpoint(entry)):
        yield _file(name, entry, path)


def _file(name: str, place: Path, path: Path) -> Candidate:
    return Candidate(name, place, (CheckpointFile(name, "1", path),))


def _checkpoint(path: Path) -> Path | None:
    """Return the path whose name is a checkpoint's: the link's own, or its target's."""
    ways = (path, Path(real(path)))
    return next((way for way in ways if is_checkpoint_name(way)), None)


def _own_name(path: Path) -> str:
    """Name the model at a path by the path as it was given, links not resolved."""
    if path.name in ("", ".."):
        return os.path.basename(real(path))
    # The dots in the name of a folder, or of a link to a file, are no suffix.
    is_whole = os.path.islink(path) and not is_checkpoint_name(path)
    return path.name if is_whole or os.path.isdir(path) else stem(path)
