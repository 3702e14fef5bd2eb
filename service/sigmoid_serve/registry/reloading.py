"""Rules of reloads and unloads: what a model may be replaced by, and which may go."""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from sigmoid_serve.errors import ServiceError, shown
from sigmoid_serve.monitoring.metrics import Metrics
from sigmoid_serve.registry.registry import Unloaded
from sigmoid_serve.repository.load_problems import LoadProblem, log_passed_over
from sigmoid_serve.repository.model_repository import (
    CheckpointContent,
    ScanResult,
    read_contents,
)
from sigmoid_serve.repository.naming import is_version

ReloadFunction = Callable[[str], Awaitable[None]]
"""Reloads the model of a name; raises a `ServiceError` if it keeps its versions."""

UnloadFunction = Callable[[str], Awaitable[None]]
"""Serves the model of a name no more; raises a `ServiceError` if it goes on serving."""

Change: TypeAlias = Literal["reload", "unload"]

logger = logging.getLogger("sigmoid_serve")


class ReloadError(Exception):
    """A model keeps its running versions.

    Attributes:
        problems: Of its files; None if nothing new is known.
    """

    def __init__(
        self, reason: str, problems: Sequence[LoadProblem] | None = None
    ) -> None:
        super().__init__(reason)
        self.problems = problems


class FoundFiles(NamedTuple):
    """The files of one model as they are now, and the problems of those not read."""

    contents: list[CheckpointContent]
    problems: list[LoadProblem]


def find_contents(scanned: ScanResult, name: str, *, is_served: bool) -> FoundFiles:
    """Read the files of one model.

    Raises:
        ServiceError: `model_not_found` for a name that has no files and is not served.
        ReloadError: Its files are gone.
    """
    contents, unread = read_contents(s for s in scanned.files if s.name == name)
    seen = [each for each in scanned.problems if each.name == name and each.is_listed]
    found = FoundFiles(contents, [*seen, *unread])
    if any(found):
        return found
    if is_served:
        raise ReloadError("its checkpoint is not there any more", ())
    detail = f"there is no model {shown(name)}, nor a checkpoint of that name"
    raise ServiceError("model_not_found", detail)


def check_update(
    served: Mapping[str, str],
    ready: Mapping[str, str],
    problems: Iterable[LoadProblem],
    accepted: Collection[LoadProblem],
) -> None:
    """Check whether a model may be replaced by what is ready of its files.

    A model that does not serve yet becomes whatever is ready. One that serves keeps its
    versions if its newest file, a version that serves, or all that is new cannot be
    served; but a problem that was accepted with the running versions does not count.

    Args:
        served: The SHA-256 of each version that serves.
        ready: The SHA-256 of each version that could serve.
        problems: Of the model's files.
        accepted: The problems that there were when the running versions were committed.

    Raises:
        ReloadError: It keeps its running versions.
    """
    if not ready or served:
        newest = max(map(int, ready), default=-1)
        known = accepted if ready else ()
        found = sorted(problems, key=_number, reverse=True)
        for each in (each for each in found if each not in known):
            is_wanted = each.version in served or _number(each) > newest
            if is_wanted or not ready or served == ready:
                raise ReloadError(_described(each), found)


def _described(each: LoadProblem) -> str:
    version = "" if each.version is None else f"version {shown(each.version)}: "
    return f"{version}{each.reason}"


def _number(each: LoadProblem) -> int:
    return int(each.version) if each.version and is_version(each.version) else -1


def require_another(name: str, served: Collection[str]) -> None:
    """Check that a model is not the last that serves.

    Raises:
        ServiceError: `last_model`.
    """
    if all(each == name for each in served):
        raise ServiceError(
            "last_model",
            f"model {name} is the last that is served and cannot be unloaded; "
            "load another first, or stop the service",
        )


def unloaded_after(
    unloaded: Unloaded, name: str, versions: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """Say which models are unloaded after a change of one.

    Args:
        unloaded: Before it.
        name: Of the model.
        versions: That it had, if it was unloaded; none where it serves.
    """
    others = {each: tuple(had) for each, had in unloaded.items() if each != name}
    newest_first = tuple(sorted(versions, key=int, reverse=True))
    return {**others, name: newest_first} if newest_first else others


def reload_service_error(
    name: str, error: ReloadError, *, is_served: bool
) -> ServiceError:
    """Make the error response that says why a model keeps its versions."""
    kept = ", keeping the running version" if is_served else ""
    return ServiceError("not_ready", f"reload of {shown(name)} failed{kept}: {error}")


def record_change(
    metrics: Metrics, change: Change, name: str, failure: str | None
) -> None:
    """Count a change, and log how it ended; `failure` says why it did not succeed."""
    result = "failure" if failure else "success"
    metrics.counter(f"sigmoid_{change}s_total", shown(name), result).add()
    if failure:
        logger.error("%s", failure)
    else:
        logger.info("model %s %sed", name, change)


def names_to_reload(
    scanned: ScanResult, served: Iterable[str], passed_over: Iterable[LoadProblem]
) -> list[str]:
    """Name all models that serve, have files or were passed over.

    What is no model at all is logged.
    """
    log_passed_over([each for each in scanned.problems if not each.is_listed])
    found = (file.name for file in scanned.files)
    refused = (each.name for each in scanned.problems if each.is_listed)
    return sorted({*served, *found, *refused, *(each.name for each in passed_over)})
