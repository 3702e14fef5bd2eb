"""Paths on disk. Links are followed; a name that begins with a dot is hidden."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal, NamedTuple

# Of files that are looked at in a folder; a file that is named may have any.
_SUFFIXES: Final = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")


def kind_of(path: Path) -> Literal["file", "folder", "neither"]:
    """Tell what a path leads to.

    Raises:
        OSError: It leads nowhere, or a folder on the way may not be entered.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "neither"


def entries(folder: Path) -> list[Path]:
    """List the entries of a folder that may be models or versions, by name.

    Hidden entries and files of other kinds are left out: there may be very many.

    Raises:
        OSError: It cannot be read.
    """
    with os.scandir(folder) as found:
        return sorted(
            folder / entry.name
            for entry in found
            if not entry.name.startswith(".")
            and (
                is_checkpoint_name(Path(entry.name))
                or not entry.is_file(follow_symlinks=False)
            )
        )


def describe_os_error(path: Path, error: OSError) -> tuple[str, str]:
    """Say why a path cannot be followed or read, and what to do."""
    reason = error.strerror or "it cannot be read"
    if os.path.islink(path) and not os.path.exists(path):
        return f"the link cannot be followed ({reason})", "mend or remove it"
    return reason, "check the path"


def real(path: Path) -> str:
    """Return a path with all links resolved."""
    try:
        return os.path.realpath(path)
    except OSError:  # the current folder is gone
        return str(path)


def is_checkpoint_name(path: Path) -> bool:
    """Whether the suffix of a path is that of a checkpoint."""
    return path.suffix.lower() in _SUFFIXES


def is_model_file(path: Path) -> bool:
    """Whether a path has the name of the one checkpoint of a version: `model.*`."""
    return path.stem == "model" and is_checkpoint_name(path)


def stem(path: Path) -> str:
    """Return the name of a file without its suffix: of `model.pth.tar`, `model`."""
    inner = Path(path.stem)
    is_wrapped = is_checkpoint_name(inner) and not is_checkpoint_name(path)
    return inner.stem if is_wrapped else path.stem


class Distinct(NamedTuple):
    """Paths with different targets, and links that repeat one of the targets."""

    kept: list[Path]
    repeated: list[Path]


def distinct(paths: Iterable[Path], *known: Path) -> Distinct:
    """Sort out the links that lead to another of the paths, or to a known path."""
    given = sorted(paths)
    seen = {real(path) for path in (*known, *given) if not os.path.islink(path)}
    seen |= {real(path) for path in known}
    kept: list[Path] = []
    repeated: list[Path] = []
    for path in given:
        # One that leads nowhere is the same as no other.
        is_link = os.path.islink(path) and os.path.exists(path)
        (repeated if is_link and real(path) in seen else kept).append(path)
        seen.add(real(path))
    return Distinct(kept, repeated)
