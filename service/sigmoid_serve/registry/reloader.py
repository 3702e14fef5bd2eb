"""Reloads and unloads of models, in two phases and each within a time limit."""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol, TypeVar, TypeVarTuple

from sigmoid_serve.engine.device import as_memory_error
from sigmoid_serve.errors import ServiceError, shown
from sigmoid_serve.monitoring.metrics import Metrics
from sigmoid_serve.registry.daemon_threads import DaemonThreads, TooManyThreadsError
from sigmoid_serve.registry.reload_slots import ReloadSlots
from sigmoid_serve.registry.reloading import (
    FoundFiles,
    ReloadError,
    find_contents,
    names_to_reload,
    record_change,
    reload_service_error,
    require_another,
)
from sigmoid_serve.repository.load_problems import LoadProblem, log_passed_over
from sigmoid_serve.repository.model_repository import ModelRepository, ScanResult

# Interval of the checks whether the process is shutting down.
_CHECK_SECONDS: Final = 0.1

# Longest time that one model of many may delay the next.
_PATIENCE_SECONDS: Final = 5.0

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

logger = logging.getLogger("sigmoid_serve")


class ServedModels(Protocol):
    """The models of one process, or of all workers, as a `Reloader` updates them.

    An update of a model is prepared, then committed or aborted.
    """

    @property
    def has_begun(self) -> bool:
        """Whether anything serves yet."""

    @property
    def served(self) -> Collection[str]:
        """Name the models that serve."""

    @property
    def unloaded(self) -> Collection[str]:
        """Name the models that were unloaded."""

    @property
    def passed_over(self) -> Sequence[LoadProblem]:
        """List the problems of all models."""

    async def prepare(self, name: str, found: FoundFiles) -> None:
        """Load the files of a model, beside the versions that serve.

        Raises:
            ReloadError: The model keeps its running versions.
        """

    async def prepare_unload(self, name: str) -> None:
        """Be ready to serve a model no more: an update to no versions."""

    async def commit(self, name: str) -> Sequence[LoadProblem]:
        """Serve the prepared versions of a model; return its problems."""

    async def abort(self, name: str, problems: Sequence[LoadProblem] | None) -> None:
        """Forget the prepared versions of a model.

        Args:
            name: Of the model.
            problems: That it has now; None if nothing new is known.
        """


class Reloader:
    """Changes models; a change that takes too long is given up and delays no other.

    Args:
        seconds: Longest time for each model.
        model_repository: Where their files are.
        models: That serve.
        metrics: Of this process.

    Attributes:
        is_shutting_down: Tells whether the process is; then no load is waited for.
    """

    def __init__(
        self,
        seconds: float,
        model_repository: ModelRepository,
        models: ServedModels,
        metrics: Metrics,
    ) -> None:
        self._seconds = seconds
        self._model_repository = model_repository
        self._models = models
        self._metrics = metrics
        self._threads = DaemonThreads()
        self._slots = ReloadSlots(seconds)
        # Those that are not cancelled any more.
        self._committing: set[asyncio.Task[Any] | None] = set()
        self._reload_all_task: asyncio.Task[None] | None = None
        self._is_reload_all_wanted = False
        self.is_shutting_down: Callable[[], bool] = lambda: False

    async def reload(self, name: str) -> None:
        """Reload the model of a name.

        Raises:
            ServiceError: It keeps its running versions.
        """
        if self._reload_all_task:  # it was asked for before
            await asyncio.wait({self._reload_all_task}, timeout=_PATIENCE_SECONDS)
        await self._run(self._reload(name))

    async def unload(self, name: str) -> None:
        """Serve the model of a name no more, until it is reloaded by its name.

        One that is unloaded already stays so.

        Raises:
            ServiceError: It goes on serving, or it does not serve at all.
        """
        await self._run(self._unload(name))

    def reload_all(self) -> None:
        """Start to reload all models that serve, have files or were passed over."""
        self._is_reload_all_wanted = True
        if self._reload_all_task is None or self._reload_all_task.done():
            self._reload_all_task = asyncio.create_task(self._reload_all())

    async def _reload_all(self) -> None:
        while self._is_reload_all_wanted and not self.is_shutting_down():
            if not self._models.has_begun:
                await asyncio.sleep(_CHECK_SECONDS)
                continue
            self._is_reload_all_wanted = False
            try:
                async with asyncio.timeout(self._seconds):
                    scanned = await self._run_in_thread(self._model_repository.scan)
            except (ReloadError, TimeoutError) as error:
                reason = str(error) or self._timeout_reason()
                logger.error(
                    "reload of all models failed, keeping the running versions: %s",
                    reason,
                )
                continue
            models = self._models
            for name in names_to_reload(scanned, models.served, models.passed_over):
                task = asyncio.create_task(self._reload_quietly(name, scanned))
                await asyncio.wait({task}, timeout=_PATIENCE_SECONDS)

    async def _reload_quietly(self, name: str, scanned: ScanResult) -> None:
        with suppress(ServiceError):  # it is in the log
            await self._run(self._reload(name, scanned))

    async def _run(self, change: Coroutine[Any, Any, None]) -> None:
        """Make a change; while the process is shutting down, only one under commit."""
        task = asyncio.create_task(change)
        while not task.done():
            await asyncio.wait({task}, timeout=_CHECK_SECONDS)
            if self.is_shutting_down() and task not in self._committing:
                task.cancel()
        if task.cancelled():
            raise ServiceError("draining", "this process is shutting down; ask another")
        task.result()

    async def _reload(self, name: str, scanned: ScanResult | None = None) -> None:
        models = self._models
        async with self._slots.acquire(name):
            self._require_begun()
            if scanned and name in models.unloaded:
                return  # of all models, those that were unloaded stay so
            is_served = name in models.served
            try:
                await self._prepare(name, self._load(name, scanned, is_served))
                problems = await self._commit(name)
            except ReloadError as error:
                await models.abort(name, error.problems)
                told = reload_service_error(name, error, is_served=is_served)
                record_change(self._metrics, "reload", name, told.detail)
                raise told from None
            except ServiceError:
                await models.abort(name, ())
                raise
        record_change(self._metrics, "reload", name, None)
        log_passed_over(problems)

    async def _unload(self, name: str) -> None:
        models = self._models
        async with self._slots.acquire(name):
            self._require_begun()
            if name in models.unloaded:
                return
            if name not in models.served:
                detail = f"there is no model {shown(name)} that is served"
                raise ServiceError(
                    "model_not_found", f"{detail}; GET /models lists those that are"
                )
            try:
                await self._prepare(name, models.prepare_unload(name))
                # Of two at once, the second finds that it is the last.
                require_another(name, models.served)
                await self._commit(name)
            except ReloadError as error:
                await models.abort(name, None)
                detail = f"unload of {name} failed, it goes on serving: {error}"
                record_change(self._metrics, "unload", name, detail)
                raise ServiceError("not_ready", detail) from None
            except ServiceError:
                await models.abort(name, None)
                raise
        record_change(self._metrics, "unload", name, None)

    def _require_begun(self) -> None:
        if not self._models.has_begun:
            raise ServiceError("not_ready", "the models are being loaded")

    async def _load(
        self, name: str, scanned: ScanResult | None, is_served: bool
    ) -> None:
        """Find and load the files of a model."""
        scanned = scanned or await self._run_in_thread(self._model_repository.scan)
        find = partial(find_contents, is_served=is_served)
        found = await self._run_in_thread(find, scanned, name)
        await self._models.prepare(name, found)

    async def _prepare(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Prepare an update in the time that it has; any failure is a `ReloadError`."""
        try:
            async with asyncio.timeout(self._seconds):
                await work
        except (ReloadError, ServiceError):
            raise
        except TimeoutError:
            raise ReloadError(self._timeout_reason()) from None
        except Exception as error:
            raise ReloadError(_unexpected_reason(name, error)) from None

    async def _commit(self, name: str) -> Sequence[LoadProblem]:
        """Serve what was prepared; from here on it is not cancelled."""
        this = asyncio.current_task()
        self._committing.add(this)
        try:
            return await self._models.commit(name)
        except Exception as error:
            raise ReloadError(_unexpected_reason(name, error)) from None
        finally:
            self._committing.discard(this)

    async def _run_in_thread(
        self, function: Callable[[*Arguments], Result], *args: *Arguments
    ) -> Result:
        """Call a function that may wait for a disk.

        Raises:
            ReloadError: It cannot be called now.
        """
        try:
            return await asyncio.wrap_future(self._threads.start(function, *args))
        except TooManyThreadsError as error:
            raise ReloadError(f"the disk does not answer: {error}") from None

    def _timeout_reason(self) -> str:
        return f"it took longer than {self._seconds:g} s (SIGMOID_LOAD_SECONDS)"


def _unexpected_reason(name: str, error: Exception) -> str:
    if as_memory_error(error):
        return "it needs more memory than there is"
    logger.error("unexpected error in the update of %s", shown(name), exc_info=error)
    return f"it failed ({type(error).__name__}); the log has more"
