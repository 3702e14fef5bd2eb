"""Two-phase commit of models in one process, without other workers."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress

from sigmoid_serve.registry.daemon_threads import DaemonThreads, TooManyThreadsError
from sigmoid_serve.registry.loading import LoadedVersions, give_back_memory
from sigmoid_serve.registry.registry import ModelRegistry
from sigmoid_serve.registry.reloading import (
    FoundFiles,
    ReloadError,
    check_update,
    unloaded_after,
)
from sigmoid_serve.registry.updating import ModelUpdater
from sigmoid_serve.repository.load_problems import (
    LoadProblem,
    log_passed_over,
    replaced,
)
from sigmoid_serve.repository.model_repository import CheckpointContent


class LocalModels:
    """The models of this process; see `sigmoid_serve.registry.reloader.ServedModels`.

    Args:
        registry: The models that serve.
        updater: Replaces them.
    """

    def __init__(self, registry: ModelRegistry, updater: ModelUpdater) -> None:
        self._registry = registry
        self._updater = updater
        self._threads = DaemonThreads()
        self._prepared: dict[str, LoadedVersions] = {}
        self._accepted: Sequence[LoadProblem] = ()

    def start(
        self, contents: Sequence[CheckpointContent], problems: Sequence[LoadProblem]
    ) -> None:
        """Load and serve the first models.

        Args:
            contents: Of the files of all versions of all models.
            problems: Of the files that could not be read.

        Raises:
            ServingError: What was named cannot be served, or nothing can.
        """
        log_passed_over(self._updater.start(contents, problems))
        self._accepted = self._registry.passed_over

    @property
    def has_begun(self) -> bool:
        """Whether anything serves yet."""
        return not self._registry.is_loading

    @property
    def served(self) -> Collection[str]:
        """Name the models that serve."""
        return self._registry.models

    @property
    def unloaded(self) -> Collection[str]:
        """Name the models that were unloaded."""
        return self._registry.unloaded

    @property
    def passed_over(self) -> Sequence[LoadProblem]:
        """List the problems of all models."""
        return self._registry.passed_over

    async def prepare(self, name: str, found: FoundFiles) -> None:
        """Load the files of a model, beside the versions that serve.

        Raises:
            ReloadError: The model keeps its running versions.
        """
        try:
            future = self._threads.start(self._updater.prepare, found.contents)
        except TooManyThreadsError as error:
            raise ReloadError(f"loads do not end: {error}") from None
        prepared = await asyncio.wrap_future(future)
        served = self._registry.models.get(name, {})
        prepared = LoadedVersions(
            prepared.versions, [*found.problems, *prepared.problems]
        )
        check_update(
            {version: each.sha256 for version, each in served.items()},
            {each.number: each.sha256 for each in prepared.versions},
            prepared.problems,
            self._accepted,
        )
        self._prepared[name] = prepared

    async def prepare_unload(self, name: str) -> None:
        """Be ready to serve a model no more; see `registry.reloader`."""
        self._prepared[name] = LoadedVersions([], [])

    async def commit(self, name: str) -> Sequence[LoadProblem]:
        """Serve the prepared versions of a model; return its problems."""
        versions, problems = self._prepared.pop(name)
        registry = self._registry
        gone = () if versions else tuple(registry.models[name])
        self._updater.commit(
            versions,
            replaced(self.passed_over, name, problems),
            unloaded_after(registry.unloaded, name, gone),
        )
        self._accepted = replaced(self._accepted, name, problems)
        with suppress(TooManyThreadsError, MemoryError):
            self._threads.start(give_back_memory)  # it may take some time
        return problems

    async def abort(self, name: str, problems: Sequence[LoadProblem] | None) -> None:
        """Forget the prepared versions of a model; see `registry.reloader`."""
        self._prepared.pop(name, None)
        if problems is not None:
            self._updater.pass_over(replaced(self.passed_over, name, problems))
