"""What a path that was named means.

A file is one model, version 1, named by its stem. A folder is a model where it has a
version with a checkpoint; any other folder holds models, as such folders and as files.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sigmoid_serve.repository.candidates import (
    LAYOUT,
    Claim,
    Source,
    refused,
    unreadable,
)
from sigmoid_serve.repository.load_problems import told
from sigmoid_serve.repository.naming import Named
from sigmoid_serve.repository.places import (
    entries,
    fault_of,
    is_checkpoint_name,
    kind_of,
    real,
)
from sigmoid_serve.repository.versions import folder_claim, is_model_folder

_MOST_NAMED: Final = 5


def scan(named: Named) -> list[Claim]:
    """List what lies at a path that was named; whatever it is, there is a claim."""
    path = named.path
    name = _own_name(path) if named.name is None else named.name
    try:
        kind = kind_of(path)
        if kind == "folder" and is_model_folder(path):
            return [folder_claim(name, path).named()]
        inside = entries(path) if kind == "folder" else []
    except OSError as error:
        return [refused(name, path, *fault_of(path, error))]
    if kind == "neither":
        finding = "it is neither a file nor a folder"
        return [refused(name, path, finding, "name a checkpoint")]
    if kind == "file":
        return [_file(name, path, _checkpoint(path) or path).named()]
    found = [claim for entry in inside for claim in _found(entry)]
    return _of_root(named, sorted(found, key=lambda claim: claim.name))


def _of_root(named: Named, found: list[Claim]) -> list[Claim]:
    """Hold what was found in a folder against what was asked of it."""
    root, name = named
    models = [claim for claim in found if claim.is_model]
    if not models:
        strange = [each for claim in found for each in claim.troubles]
        finding = "; ".join(["the folder has no model", *told(strange, _MOST_NAMED)])
        return [*found, refused(_own_name(root), root, finding, LAYOUT)]
    if name is None:
        return found
    if len(models) > 1:
        finding = f"its {len(models)} models cannot have one name"
        return [refused(name, root, finding, "name one of them, or leave NAME= out")]
    others = [claim for claim in found if claim is not models[0]]
    return [models[0].named(name), *others]


def _found(entry: Path) -> Iterator[Claim]:
    """Say what an entry of a folder of models is, if it is anything."""
    name = _own_name(entry)
    try:
        kind = kind_of(entry)
    except OSError as error:
        yield unreadable(name, entry, error)
        return
    if kind == "folder":
        yield folder_claim(name, entry)
    elif kind == "file" and (path := _checkpoint(entry)):
        yield _file(name, entry, path)


def _file(name: str, place: Path, path: Path) -> Claim:
    return Claim(name, place, (Source(name, "1", path),))


def _checkpoint(path: Path) -> Path | None:
    """Return the path by which a file is a checkpoint: a link may have any name."""
    ways = (path, Path(real(path)))
    return next((way for way in ways if is_checkpoint_name(way)), None)


def _own_name(path: Path) -> str:
    """Name what lies at a path by the path as it was given, links and all."""
    if path.name in ("", ".."):
        return os.path.basename(real(path))
    # The dots in the name of a folder, or of a link to a file, are no suffix.
    is_whole = os.path.islink(path) and not is_checkpoint_name(path)
    return path.name if is_whole or os.path.isdir(path) else path.stem
