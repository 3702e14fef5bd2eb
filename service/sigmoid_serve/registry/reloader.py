"""Changes of models, made one step after the other, each within a time."""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol, TypeVar, TypeVarTuple

from sigmoid_serve.engine.device import as_memory_error
from sigmoid_serve.errors import ServiceError, shown
from sigmoid_serve.monitoring.metrics import Metrics
from sigmoid_serve.registry.errands import ErrandError, Errands
from sigmoid_serve.registry.reloading import (
    Found,
    Refused,
    count_reload,
    find_files,
    names_to_reload,
    refusal_error,
)
from sigmoid_serve.registry.turns import Turns
from sigmoid_serve.repository.sources import Roots, Survey
from sigmoid_serve.repository.troubles import Trouble, log_passed_over

# So often it is looked whether the process is about to end.
_LOOK_SECONDS: Final = 0.1

# So long one model of many may hold up the next.
_PATIENCE_SECONDS: Final = 5.0

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

logger = logging.getLogger("sigmoid_serve")


class Models(Protocol):
    """What serves, in one process or in several, as it is changed by a `Reloader`."""

    @property
    def has_begun(self) -> bool:
        """Whether anything serves yet."""

    @property
    def served(self) -> Collection[str]:
        """Name the models that serve."""

    @property
    def passed_over(self) -> Sequence[Trouble]:
        """List what cannot be served."""

    async def load(self, name: str, found: Found) -> None:
        """Load the files of a model beside what serves.

        Raises:
            Refused: The model stays as it was.
        """

    async def put(self, name: str) -> Sequence[Trouble]:
        """Serve what was loaded of a model; return what is passed over of it."""

    async def give_up(self, name: str, troubles: Sequence[Trouble] | None) -> None:
        """Forget what was loaded of a model.

        Args:
            name: Of the model.
            troubles: What cannot be served of it; None where nothing new is known.
        """


class Reloader:
    """Changes models, each within a time; what hangs is given up and holds up nothing.

    Args:
        seconds: Longest time for each.
        roots: Where models are looked for.
        models: What serves.
        metrics: Of this process.

    Attributes:
        is_ending: Tells whether the process is about to end; then no load is awaited.
    """

    def __init__(
        self, seconds: float, roots: Roots, models: Models, metrics: Metrics
    ) -> None:
        self._seconds = seconds
        self._roots = roots
        self._models = models
        self._metrics = metrics
        self._errands = Errands()
        self._turns = Turns(seconds)
        # Those that are not given up any more.
        self._putting: set[asyncio.Task[Any] | None] = set()
        self._sweep: asyncio.Task[None] | None = None
        self._must_sweep = False
        self.is_ending: Callable[[], bool] = lambda: False

    async def reload(self, name: str) -> None:
        """Reload the model of a name.

        Raises:
            ServiceError: It stays as it was.
        """
        if self._sweep:  # it was wanted before
            await asyncio.wait({self._sweep}, timeout=_PATIENCE_SECONDS)
        await self._reload(name)

    def reload_all(self) -> None:
        """Begin to reload whatever serves, is there to serve or was passed over."""
        self._must_sweep = True
        if self._sweep is None or self._sweep.done():
            self._sweep = asyncio.create_task(self._reload_all())

    async def _reload_all(self) -> None:
        while self._must_sweep and not self.is_ending():
            if not self._models.has_begun:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            self._must_sweep = False
            try:
                async with asyncio.timeout(self._seconds):
                    survey = await self._aside(self._roots.survey)
            except (Refused, TimeoutError) as error:
                reason = str(error) or self._late()
                logger.error(
                    "reload of all models failed, keeping the running versions: %s",
                    reason,
                )
                continue
            models = self._models
            for name in names_to_reload(survey, models.served, models.passed_over):
                task = asyncio.create_task(self._reload_quietly(name, survey))
                await asyncio.wait({task}, timeout=_PATIENCE_SECONDS)

    async def _reload_quietly(self, name: str, survey: Survey) -> None:
        with suppress(ServiceError):  # it is in the log
            await self._reload(name, survey)

    async def _reload(self, name: str, survey: Survey | None = None) -> None:
        task = asyncio.create_task(self._change(name, survey))
        while not task.done():
            await asyncio.wait({task}, timeout=_LOOK_SECONDS)
            if self.is_ending() and task not in self._putting:
                task.cancel()
        if task.cancelled():
            raise ServiceError("draining", "this process is shutting down; ask another")
        task.result()

    async def _change(self, name: str, survey: Survey | None) -> None:
        models = self._models
        async with self._turns.of(name):
            if not models.has_begun:
                raise ServiceError("not_ready", "the models are being loaded")
            is_served = name in models.served
            try:
                await self._load(name, survey, is_served)
                troubles = await self._put(name)
            except Refused as refusal:
                await models.give_up(name, refusal.troubles)
                error = refusal_error(name, refusal, is_served=is_served)
                count_reload(self._metrics, name, error.detail)
                raise error from None
            except ServiceError:
                await models.give_up(name, ())
                raise
        count_reload(self._metrics, name, None)
        log_passed_over(troubles)

    async def _load(self, name: str, survey: Survey | None, is_served: bool) -> None:
        """Take the first step; whatever keeps it from its end is a refusal."""
        try:
            async with asyncio.timeout(self._seconds):
                survey = survey or await self._aside(self._roots.survey)
                find = partial(find_files, is_served=is_served)
                found = await self._aside(find, survey, name)
                await self._models.load(name, found)
        except (Refused, ServiceError):
            raise
        except TimeoutError:
            raise Refused(self._late()) from None
        except Exception as error:
            raise Refused(_unforeseen(name, error)) from None

    async def _put(self, name: str) -> Sequence[Trouble]:
        """Take the second step."""
        this = asyncio.current_task()
        self._putting.add(this)
        try:
            return await self._models.put(name)
        except Exception as error:
            raise Refused(_unforeseen(name, error)) from None
        finally:
            self._putting.discard(this)

    async def _aside(
        self, function: Callable[[*Arguments], Result], *args: *Arguments
    ) -> Result:
        """Call a function that may wait for a disk.

        Raises:
            Refused: It cannot be called now.
        """
        try:
            return await asyncio.wrap_future(self._errands.start(function, *args))
        except ErrandError as error:
            raise Refused(f"the disk does not answer: {error}") from None

    def _late(self) -> str:
        return f"it took longer than {self._seconds:g} s (SIGMOID_LOAD_SECONDS)"


def _unforeseen(name: str, error: Exception) -> str:
    if as_memory_error(error):
        return "it needs more memory than there is"
    logger.error("unexpected error in the reload of %s", shown(name), exc_info=error)
    return f"it failed ({type(error).__name__}); the log has more"
