"""Roots below a folder: folders of models, NAME/VERSION/model.*, some levels down.

The search ends: it follows no links, and goes down and lists only so far. What is not
for people to keep models in is left out: hidden folders, and those of installed code.
"""

import os
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from sigmoid_serve.repository.naming import is_version
from sigmoid_serve.repository.places import is_model_file

MOST_ENTRIES: Final = 10_000

_MOST_LEVELS: Final = 4
_NOT_SEARCHED: Final = ("__pycache__", "node_modules")
# It stands in the folder of a virtual environment.
_ENVIRONMENT: Final = "pyvenv.cfg"


class Roots(NamedTuple):
    """What a search has found.

    Attributes:
        folders: The roots, by name.
        is_whole: Whether all was searched that there is so far down.
    """

    folders: list[Path]
    is_whole: bool


def roots_below(top: Path) -> Roots:
    """Search a folder, which is no root itself, for roots.

    What cannot be read is passed over.
    """
    roots: set[Path] = set()
    left = MOST_ENTRIES
    folders = deque([(top, 0)])
    while folders and left > 0:
        folder, level = folders.popleft()
        if not roots.isdisjoint(folder.parents):
            continue
        found = list(islice(_entries(folder), left))
        left -= len(found)
        inner = [Path(each.path) for each in found if _is_searched(each)]
        if any(each.name == _ENVIRONMENT for each in found):
            continue
        if level and any(is_version(each.name) and _is_filled(each) for each in inner):
            roots.add(folder.parent)
        elif level <= _MOST_LEVELS:
            folders.extend((each, level + 1) for each in inner)
    return Roots(sorted(roots), left > 0)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            yield from found
    except OSError:
        return


def _is_searched(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or entry.name in _NOT_SEARCHED:
        return False
    return entry.is_dir(follow_symlinks=False)


def _is_filled(version: Path) -> bool:
    """Whether the folder of a version holds a checkpoint."""
    first = islice(_entries(version), MOST_ENTRIES)
    return any(is_model_file(Path(entry.name)) for entry in first)
