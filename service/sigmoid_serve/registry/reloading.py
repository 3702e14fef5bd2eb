"""Whether a model changes to what its files are now."""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from sigmoid_serve.errors import ServiceError, shown
from sigmoid_serve.monitoring.metrics import Metrics
from sigmoid_serve.repository.naming import is_version
from sigmoid_serve.repository.sources import File, Survey, read_files
from sigmoid_serve.repository.troubles import Trouble, log_passed_over

Reload = Callable[[str], Awaitable[None]]
"""Reloads the model of a name; raises a `ServiceError` where it stays as it was."""

logger = logging.getLogger("sigmoid_serve")


class Refused(Exception):
    """Why a model stays as it was.

    Attributes:
        troubles: What of its files cannot be served; None where nothing new is known.
    """

    def __init__(self, reason: str, troubles: Sequence[Trouble] | None = None) -> None:
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
        raise Refused("its checkpoint is not there any more", ())
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
    """Make the error that tells why a model was not reloaded."""
    kept = ", keeping the running version" if is_served else ""
    return ServiceError("not_ready", f"reload of {shown(name)} failed{kept}: {refusal}")


def count_reload(metrics: Metrics, name: str, failure: str | None) -> None:
    """Count a reload, and log how it ended; `failure` says why it did not succeed."""
    result = "failure" if failure else "success"
    metrics.counter("sigmoid_reloads_total", shown(name), result).add()
    if failure:
        logger.error("%s", failure)
    else:
        logger.info("model %s reloaded", name)


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
