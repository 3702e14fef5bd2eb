"""Which models and versions are served, and where their files lie."""

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch

import models
from models.checkpoint import SUFFIXES, CheckpointError, load_checkpoint
from service.batching import Batcher
from service.engine import Engine
from service.errors import ServiceError, shown

PRETRAINED = Path(models.__file__).parent / "pretrained"

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_VERSION = re.compile(r"0|[1-9][0-9]{0,17}")
# HTTP clients resolve dot segments, RFC 3986, section 5.2.4: no request would arrive.
_RESERVED = (".", "..", "sigmoid", "stats")

logger = logging.getLogger("sigmoid_serve")


class Source(NamedTuple):
    """A checkpoint file and what it is served as."""

    name: str
    version: str
    path: Path


@dataclass(frozen=True)
class Version:
    """One version of a model, on its device.

    Attributes:
        name: Of the model.
        version: A decimal number, as text.
        engine: Computes its logits.
        batcher: Gathers the rows of many requests for the engine.
        sha256: Of the checkpoint file.
        fault: Why it must not answer, if so.
    """

    name: str
    version: str
    engine: Engine
    batcher: Batcher
    sha256: str
    fault: str | None

    @property
    def state(self) -> Literal["ready", "failed"]:
        """`ready`, or `failed` where the golden rows did not come out right."""
        return "failed" if self.fault else "ready"


class Repository:
    """The models that are served.

    Args:
        versions: At least one; no name and version twice.
        default: Name of the model that `/predict` asks.
    """

    def __init__(self, versions: Iterable[Version], default: str) -> None:
        self.default = default
        self.models: dict[str, dict[str, Version]] = {}
        for version in sorted(versions, key=lambda v: (v.name, -int(v.version))):
            self.models.setdefault(version.name, {})[version.version] = version

    def find(self, name: str, version: str | None = None) -> Version:
        """Return a version, by default the newest.

        Raises:
            ServiceError: `model_not_found` or `version_not_found`.
        """
        if name not in self.models:
            raise ServiceError(
                "model_not_found",
                f"there is no model {shown(name)}; GET /models lists them",
            )
        versions = self.models[name]
        if version is None:
            return next(iter(versions.values()))
        if version not in versions:
            raise ServiceError(
                "version_not_found",
                f"model {name} has no version {shown(version)}; "
                f"GET /models/{name} lists them",
            )
        return versions[version]

    def faults(self) -> list[str]:
        """Say what is wrong with the versions that must not answer."""
        return [
            f"model {version.name} version {version.version}: {version.fault}"
            for versions in self.models.values()
            for version in versions.values()
            if version.fault
        ]


def load_repository(
    checkpoints: Sequence[Path],
    searched: Sequence[Path],
    device: torch.device,
    max_batch_rows: int,
) -> Repository:
    """Load all models, and check each against its golden rows.

    Args:
        checkpoints: Files or folders in the order of the command line; the first
            model of the first is the default.
        searched: Files or folders to serve where there are no `checkpoints`; the
            default is then the first by name.
        device: Where they compute.
        max_batch_rows: Rows per batch.

    Raises:
        CheckpointError: A file cannot be served, a folder has no model, or a name
            cannot be used or comes twice.
    """
    sources = [s for path in checkpoints or searched for s in find_sources(path)]
    _check_names(sources)
    device_thread = ThreadPoolExecutor(1, thread_name_prefix="device")
    versions = [
        _load(source, device, device_thread, max_batch_rows) for source in sources
    ]
    default = sources[0].name if checkpoints else min(s.name for s in sources)
    return Repository(versions, default)


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


def _load(
    source: Source,
    device: torch.device,
    device_thread: Executor,
    max_batch_rows: int,
) -> Version:
    checkpoint = load_checkpoint(source.path)
    engine = Engine(checkpoint, device, max_batch_rows)
    fault = engine.golden_fault()
    card = checkpoint.card
    logger.log(
        logging.ERROR if fault else logging.INFO,
        "model %s version %s: %s %s, %s parameters, %s, activation %s, %s",
        source.name,
        source.version,
        card.architecture.kind,
        "-".join(map(str, card.architecture.sizes)),
        f"{card.architecture.parameters:,}",
        card.task,
        card.activation,
        fault or "ready",
    )
    return Version(
        source.name,
        source.version,
        engine,
        Batcher(engine, device_thread),
        checkpoint.sha256,
        fault,
    )
