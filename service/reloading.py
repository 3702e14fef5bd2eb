"""Whether a model changes to what its files are now; and the change, in one process."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

from service.errors import ServiceError, shown
from service.exchanging import Exchanger
from service.loading import Loaded
from service.metrics import Metrics
from service.naming import is_version
from service.repository import Repository, Version
from service.sources import File, Roots, Survey, read_files
from service.troubles import Trouble, log_passed_over, replaced

Reload = Callable[[str], Awaitable[None]]
"""Reloads the model of a name; raises a `ServiceError` where it stays as it was."""

_LOADING_SECONDS: Final = 0.1

logger = logging.getLogger("sigmoid_serve")


class Refused(Exception):
    """Why a model stays as it was.

    Attributes:
        troubles: What of its files cannot be served.
    """

    def __init__(self, reason: str, troubles: Sequence[Trouble] = ()) -> None:
        super().__init__(reason)
        self.troubles = troubles


class Found(NamedTuple):
    """The files of one model as they are now, and what cannot be served of them."""

    files: list[File]
    troubles: list[Trouble]


def find_files(survey: Survey, name: str, *, is_served: bool) -> Found:
    """Read the files of one model.

    Raises:
        ServiceError: `model_not_found` for a name that is neither there nor served.
        Refused: They are gone.
    """
    files, unread = read_files(s for s in survey.sources if s.name == name)
    seen = [each for each in survey.troubles if each.name == name and each.is_listed]
    found = Found(files, [*seen, *unread])
    if any(found):
        return found
    if is_served:
        raise Refused("its checkpoint is not there any more")
    detail = f"there is no model {shown(name)}, nor a checkpoint of that name"
    raise ServiceError("model_not_found", detail)


def judge(
    served: Mapping[str, str],
    ready: Mapping[str, str],
    troubles: Iterable[Trouble],
    accepted: Collection[Trouble],
) -> None:
    """Let a model change to what is ready of its files, or not.

    A model that does not serve yet changes to whatever is ready. One that serves stays
    as it was where the newest version that is there, one that serves, or all that is
    new cannot be served; but what was passed over when it was put in is no news.

    Args:
        served: The SHA-256 of each version that serves.
        ready: The SHA-256 of each version that could.
        troubles: What cannot be served of the model's files.
        accepted: What could not be when the versions that serve were put in.

    Raises:
        Refused: It stays as it was.
    """
    if not ready or served:
        newest = max(map(int, ready), default=-1)
        known = accepted if ready else ()
        found = sorted(troubles, key=_number, reverse=True)
        for each in (each for each in found if each not in known):
            is_wanted = each.version in served or _number(each) > newest
            if is_wanted or not ready or served == ready:
                raise Refused(_described(each), found)


def _described(each: Trouble) -> str:
    version = "" if each.version is None else f"version {shown(each.version)}: "
    return f"{version}{each.reason}"


def _number(each: Trouble) -> int:
    return int(each.version) if each.version and is_version(each.version) else -1


def refusal_error(name: str, refusal: Refused, *, is_served: bool) -> ServiceError:
    """Make the answer that tells why a model stays as it was."""
    what = (
        f"the model {name} stays as it was, the new one is not ready"
        if is_served
        else f"the model {shown(name)} cannot be served"
    )
    return ServiceError("not_ready", f"{what}: {refusal}")


class Reloader:
    """Changes models in the only process that serves, one at a time.

    Args:
        roots: Where models are looked for.
        repository: What serves.
        exchanger: Puts models in its place.
        metrics: Of this process.
    """

    def __init__(
        self,
        roots: Roots,
        repository: Repository,
        exchanger: Exchanger,
        metrics: Metrics,
    ) -> None:
        self._roots = roots
        self._repository = repository
        self._exchanger = exchanger
        self._metrics = metrics
        self._lock = asyncio.Lock()
        self._accepted: Sequence[Trouble] = ()

    def start(self, files: Sequence[File], troubles: Sequence[Trouble]) -> None:
        """Serve the first models.

        Args:
            files: All versions of all models.
            troubles: What cannot be served and was found out before.

        Raises:
            ServingError: What was named cannot be served, or nothing can.
        """
        log_passed_over(self._exchanger.start(files, troubles))
        self._accepted = self._repository.passed_over

    async def reload(self, name: str) -> None:
        """Reload the model of a name.

        Raises:
            ServiceError: It stays as it was.
        """
        await self._reload(name, await asyncio.to_thread(self._roots.survey))

    async def reload_all(self) -> None:
        """Reload whatever serves, is there to serve or was passed over."""
        while self._repository.is_loading:
            await asyncio.sleep(_LOADING_SECONDS)
        survey = await asyncio.to_thread(self._roots.survey)
        served, passed_over = self._repository.models, self._repository.passed_over
        for name in names_to_reload(survey, served, passed_over):
            with suppress(ServiceError):  # it is in the log
                await self._reload(name, survey)

    async def _reload(self, name: str, survey: Survey) -> None:
        async with self._lock:
            repository = self._repository
            if repository.is_loading:
                raise ServiceError("not_ready", "the models are being loaded")
            served = repository.models.get(name, {})
            passed_over = partial(replaced, repository.passed_over, name)
            try:
                loaded = await asyncio.to_thread(self._load, name, survey, served)
            except Refused as refusal:
                self._exchanger.pass_over(passed_over(refusal.troubles))
                count_reload(self._metrics, name, refusal)
                raise refusal_error(name, refusal, is_served=bool(served)) from None
            except ServiceError:
                self._exchanger.pass_over(passed_over(()))
                raise
            self._exchanger.put(loaded.versions, passed_over(loaded.troubles))
            self._accepted = replaced(self._accepted, name, loaded.troubles)
            count_reload(self._metrics, name, None)
            log_passed_over(loaded.troubles)

    def _load(self, name: str, survey: Survey, served: Mapping[str, Version]) -> Loaded:
        files, seen = find_files(survey, name, is_served=bool(served))
        versions, found = self._exchanger.load(files)
        troubles = [*seen, *found]
        judge(
            {version: each.sha256 for version, each in served.items()},
            {each.version: each.sha256 for each in versions},
            troubles,
            self._accepted,
        )
        return Loaded(versions, troubles)


def count_reload(metrics: Metrics, name: str, refusal: Refused | None) -> None:
    """Count a reload, and log how it ended."""
    result = "refused" if refusal else "swapped"
    metrics.counter("sigmoid_reloads_total", shown(name), result).add()
    if refusal:
        logger.error("model %s was not reloaded: %s", shown(name), refusal)
    else:
        logger.info("model %s was reloaded", name)


def names_to_reload(
    survey: Survey, served: Iterable[str], passed_over: Iterable[Trouble]
) -> list[str]:
    """Name all models that serve, are there to serve or were passed over.

    What is no model at all is named in the log.
    """
    log_passed_over([each for each in survey.troubles if not each.is_listed])
    found = (source.name for source in survey.sources)
    refused = (each.name for each in survey.troubles if each.is_listed)
    return sorted({*served, *found, *refused, *(each.name for each in passed_over)})
