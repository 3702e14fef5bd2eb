"""Which files are served as what: all that was named, as it is now."""

import logging
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import sigmoid_models
from sigmoid_models.checkpoint import MAX_BYTES, CheckpointError, read_bytes
from sigmoid_serve.configuration.environment import variable
from sigmoid_serve.engine.device import as_memory_error
from sigmoid_serve.repository.claims import Source
from sigmoid_serve.repository.naming import Named, read_named
from sigmoid_serve.repository.overlaps import (
    without_clashes,
    without_repeats,
    without_stores,
)
from sigmoid_serve.repository.scanning import scan
from sigmoid_serve.repository.troubles import Trouble, trouble

PRETRAINED: Final = Path(sigmoid_models.__file__).parent / "pretrained"
_LIMIT: Final = variable("max_checkpoint_bytes")

logger = logging.getLogger("sigmoid_serve")


class File(NamedTuple):
    """A source with the bytes that were read from it, and their SHA-256."""

    source: Source
    content: bytes
    sha256: str


class Survey(NamedTuple):
    """What there is.

    Attributes:
        sources: What may be served; that of the default model comes first.
        troubles: What cannot be.
    """

    sources: list[Source]
    troubles: list[Trouble]


class Roots(NamedTuple):
    """Where models are looked for.

    Attributes:
        named: Files or folders.
        is_ordered: Whether the first model of the first is the default; else it is the
            first by name.
        max_bytes: Most bytes that a file may have.
    """

    named: Sequence[Named]
    is_ordered: bool
    max_bytes: int = MAX_BYTES

    def survey(self) -> Survey:
        """Look at all that was named."""
        claims = [claim.checked() for each in self.named for claim in scan(each)]
        claims = without_repeats(claims, [each.path for each in self.named])
        claims = without_clashes(without_stores(claims))
        if not self.is_ordered:
            claims.sort(key=lambda claim: claim.name)
        return Survey(
            [
                source._replace(max_bytes=self.max_bytes)
                for claim in claims
                for source in claim.sources
            ],
            [each for claim in claims for each in claim.troubles],
        )


def roots_of(
    checkpoints: Sequence[Path], searched: Sequence[Path], max_bytes: int = MAX_BYTES
) -> Roots:
    """Say where models are looked for.

    Args:
        checkpoints: Of the command line, as `PATH` or `NAME=PATH`; their order counts.
        searched: The same, of the settings, where there are no `checkpoints`.
        max_bytes: Most bytes that a file may have.
    """
    given = checkpoints or searched or (PRETRAINED,)
    return Roots([read_named(path) for path in given], bool(checkpoints), max_bytes)


def read_files(sources: Iterable[Source]) -> tuple[list[File], list[Trouble]]:
    """Read the files, and say which cannot be read."""
    files, troubles = [], []
    for source in sources:
        try:
            content = read_bytes(source.path, source.max_bytes, _LIMIT)
        except (CheckpointError, MemoryError) as error:
            troubles.append(trouble_of(source, error))
        else:
            files.append(File(source, content, sha256(content).hexdigest()))
    return files, troubles


def trouble_of(source: Source, error: Exception) -> Trouble:
    """Describe a file that cannot be served, by what was raised."""
    if isinstance(error, CheckpointError):
        return trouble(*source[:3], error.finding, error.remedy)
    if as_memory_error(error):
        finding, remedy = "it needs more memory than there is", "give it more"
        return trouble(*source[:3], finding, remedy)
    logger.error("unexpected error in loading %s", source.path, exc_info=error)
    finding = f"it cannot be loaded ({type(error).__name__})"
    return trouble(*source[:3], finding, "the log has more")
