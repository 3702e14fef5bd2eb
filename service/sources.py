"""Where the files of models lie, and what they are served as."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import models
from models.checkpoint import SUFFIXES, CheckpointError, read_bytes
from service.errors import shown

PRETRAINED: Final = Path(models.__file__).parent / "pretrained"

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_VERSION: Final = re.compile(r"0|[1-9][0-9]{0,17}")
# HTTP clients resolve dot segments, RFC 3986, section 5.2.4: no request would arrive.
_RESERVED: Final = (".", "..", "sigmoid", "stats")


class Source(NamedTuple):
    """A checkpoint file and what it is served as."""

    name: str
    version: str
    path: Path


class File(NamedTuple):
    """A source with the bytes that were read from it."""

    source: Source
    content: bytes


class Roots(NamedTuple):
    """Where models are looked for.

    Attributes:
        checkpoints: Files or folders in the order of the command line; the first
            model of the first is the default.
        searched: Files or folders to serve where there are no `checkpoints`; the
            default is then the first by name.
    """

    checkpoints: Sequence[Path]
    searched: Sequence[Path]

    def sources(self) -> list[Source]:
        """List all checkpoints that are there now.

        Raises:
            CheckpointError: A folder has no model, or a name cannot be used or comes
                twice.
        """
        sources = [
            source
            for path in self.checkpoints or self.searched
            for source in find_sources(path)
        ]
        _check_names(sources)
        return sources

    def default(self, sources: Sequence[Source]) -> str:
        """Name the model that `/predict` asks."""
        if self.checkpoints:
            return sources[0].name
        return min(source.name for source in sources)


def read_files(sources: Iterable[Source]) -> list[File]:
    """Read all of the files.

    Raises:
        CheckpointError: One cannot be read.
    """
    return [File(source, read_bytes(source.path)) for source in sources]


def _check_names(sources: Iterable[Source]) -> None:
    firsts: dict[str, Source] = {}
    seen: set[tuple[str, str]] = set()
    for source in sources:
        first = firsts.setdefault(source.name, source)
        key = (source.name, source.version)
        if key in seen or _origin(source) != _origin(first):
            raise CheckpointError(
                source.path,
                f"{first.path} already gave a model the name {source.name}",
                "rename or leave out one of them",
            )
        seen.add(key)


def find_sources(path: Path) -> list[Source]:
    """List the checkpoints that a path means.

    A file is one model, named by its stem, version 1. A folder holds models as
    `NAME/VERSION/model.safetensors` (or `.pt`, `.pth`), or is itself such a `NAME`;
    files that lie in it are models by their stem. Hidden entries are passed over.

    Raises:
        CheckpointError: There is nothing to serve, or a name cannot be used.
    """
    if not path.is_dir():
        return [_source(path.stem, "1", path)]
    if any(_VERSION.fullmatch(entry.name) for entry in _folders(path)):
        return list(_versions(path.resolve().name, path))
    sources = [
        _source(entry.stem, "1", entry)
        for entry in sorted(path.iterdir())
        if entry.suffix in SUFFIXES
        and not entry.is_dir()
        and not entry.name.startswith(".")
    ]
    for folder in _folders(path):
        sources += _versions(folder.name, folder)
    if not sources:
        raise CheckpointError(
            path, "the folder has no model", "expected NAME/VERSION/model.safetensors"
        )
    return sorted(sources)


def _folders(path: Path) -> list[Path]:
    return sorted(
        entry
        for entry in path.iterdir()
        if entry.is_dir() and not entry.name.startswith(".")
    )


def _versions(name: str, folder: Path) -> Iterator[Source]:
    versions = _folders(folder)
    if not versions:
        raise CheckpointError(
            folder,
            "the folder has no versions",
            "expected NAME/VERSION/model.safetensors",
        )
    for version in versions:
        if not _VERSION.fullmatch(version.name):
            raise CheckpointError(
                version, "a version is a decimal number", "rename the folder"
            )
        files = [
            file
            for suffix in SUFFIXES
            if (file := version / f"model{suffix}").is_file()
        ]
        if len(files) != 1:
            raise CheckpointError(
                version, f"it has {len(files)} checkpoints", "expected one file model.*"
            )
        yield _source(name, version.name, files[0])


def _source(name: str, version: str, path: Path) -> Source:
    if not _NAME.fullmatch(name) or name in _RESERVED:
        raise CheckpointError(
            path,
            f"a model cannot be called {shown(name)}",
            "use 1 to 64 of A-Z a-z 0-9 . _ -, but not . .. sigmoid stats",
        )
    return Source(name, version, path)


def _origin(source: Source) -> Path:
    """The place that a model's name comes from: its folder, or its file."""
    folder = source.path.parent
    in_version = source.path.stem == "model" and folder.name == source.version
    return folder.parent if in_version else source.path
