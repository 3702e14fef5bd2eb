"""Rules of a reload: whether a model may be replaced by what its files are now."""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from sigmoid_serve.errors import ServiceError, shown
from sigmoid_serve.monitoring.metrics import Metrics
from sigmoid_serve.repository.load_problems import LoadProblem, log_passed_over
from sigmoid_serve.repository.model_repository import (
    CheckpointContent,
    ScanResult,
    read_contents,
)
from sigmoid_serve.repository.naming import is_version

ReloadFunction = Callable[[str], Awaitable[None]]
"""Reloads the model of a name; raises a `ServiceError` if it keeps its versions."""

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


def reload_service_error(
    name: str, error: ReloadError, *, is_served: bool
) -> ServiceError:
    """Make the error response that says why a model keeps its versions."""
    kept = ", keeping the running version" if is_served else ""
    return ServiceError("not_ready", f"reload of {shown(name)} failed{kept}: {error}")


def record_reload(metrics: Metrics, name: str, failure: str | None) -> None:
    """Count a reload, and log how it ended; `failure` says why it did not succeed."""
    result = "failure" if failure else "success"
    metrics.counter("sigmoid_reloads_total", shown(name), result).add()
    if failure:
        logger.error("%s", failure)
    else:
        logger.info("model %s reloaded", name)


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
