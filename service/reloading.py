"""Another version of a model in place of the one that serves, or none.

A change has two steps. First the files are loaded, verified and warmed up, beside those
that serve; only if all is well are they put in their place, all at once. Where several
processes serve, all of them take the first step before any takes the second.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from models.checkpoint import CheckpointError
from service.errors import ServiceError, shown
from service.loading import Loader
from service.metrics import Metrics
from service.repository import Repository, Version
from service.sources import File, Roots, read_files
from service.telemetry import Telemetry

Reload = Callable[[str], Awaitable[None]]
"""Reloads the model of a name; raises a `ServiceError` where it stays as it was."""

logger = logging.getLogger("sigmoid_serve")


class Refused(Exception):
    """Why a model stays as it was."""


def find_files(roots: Roots, name: str, is_served: bool) -> list[File]:
    """Read the files of one model as they are now.

    Raises:
        ServiceError: `model_not_found` for a name that is neither there nor served.
        Refused: They cannot be read.
    """
    try:
        files = read_files(s for s in roots.sources() if s.name == name)
    except (CheckpointError, OSError) as error:
        raise Refused(str(error)) from None
    if not files and not is_served:
        detail = f"there is no model {shown(name)}, nor a checkpoint of that name"
        raise ServiceError("model_not_found", detail)
    if not files:
        raise Refused("its checkpoint is not there any more")
    return files


def not_swapped(name: str, refusal: Refused) -> ServiceError:
    """Make the answer that tells why a model stays as it was."""
    return ServiceError(
        "not_ready",
        f"the model {name} stays as it was, the new one is not ready: "
        f"{str(refusal)[:1024]}",
    )


class Exchanger:
    """Takes both steps, in one process.

    Args:
        repository: What serves.
        loader: Loads what shall serve.
        telemetry: Told of what was put in and what went.
    """

    def __init__(
        self, repository: Repository, loader: Loader, telemetry: Telemetry
    ) -> None:
        self._repository = repository
        self._loader = loader
        self._telemetry = telemetry

    def load(self, files: Sequence[File], *, must_be_ready: bool) -> list[Version]:
        """Take the first step; on any thread.

        Args:
            files: All versions of each model.
            must_be_ready: Whether to refuse what is not; else a model may fail its
                golden check, and others serve.

        Raises:
            Refused: They are not ready to serve.
            CheckpointError: They can never serve, and need not be ready.
        """
        try:
            versions = self._loader.load(files, self._repository.models)
        except CheckpointError as error:
            if must_be_ready:
                raise Refused(str(error)) from None
            raise
        for version in versions:
            if version.fault and must_be_ready:
                raise Refused(f"version {version.version}: {version.fault}")
        return versions

    def put(self, versions: Sequence[Version], default: str = "") -> None:
        """Take the second step."""
        known = {
            id(version)
            for served in self._repository.models.values()
            for version in served.values()
        }
        for gone in self._repository.put(versions, default):
            self._telemetry.dropped(gone.name, gone.version)
        for version in versions:
            if id(version) not in known:
                self._telemetry.loaded(
                    version.name,
                    version.version,
                    version.seconds,
                    version.golden_error,
                )


def reload_alone(
    roots: Roots, repository: Repository, exchanger: Exchanger, metrics: Metrics
) -> Reload:
    """Make the function that reloads a model in the only process that serves."""
    one_at_a_time = asyncio.Lock()

    async def reload(name: str) -> None:
        async with one_at_a_time:
            is_served = name in repository.models
            try:
                files = await asyncio.to_thread(find_files, roots, name, is_served)
                versions = await asyncio.to_thread(
                    exchanger.load, files, must_be_ready=True
                )
            except Refused as refusal:
                count_reload(metrics, name, refusal)
                raise not_swapped(name, refusal) from None
            exchanger.put(versions)
            count_reload(metrics, name, None)

    return reload


def count_reload(metrics: Metrics, name: str, refusal: Refused | None) -> None:
    """Count a reload, and log how it ended."""
    result = "refused" if refusal else "swapped"
    metrics.counter("sigmoid_reloads_total", name, result).add()
    if refusal:
        logger.error("model %s stays as it was: %s", name, refusal)
    else:
        logger.info("model %s was reloaded", name)


def names_to_reload(roots: Roots, served: Sequence[str]) -> list[str]:
    """Name all models that serve or are there to serve."""
    try:
        found = [source.name for source in roots.sources()]
    except (CheckpointError, OSError) as error:
        logger.error("nothing is reloaded: %s", error)
        return []
    return sorted({*served, *found})
