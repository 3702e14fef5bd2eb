"""Reading of all models at the start.

A model that was named must be served, or the start fails; one that was found in a
folder may be passed over.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import TimeoutError as FuturesTimeout
from typing import Final, TypeVar, TypeVarTuple

from sigmoid_serve.configuration.settings import ServingError
from sigmoid_serve.registry.daemon_threads import DaemonThreads
from sigmoid_serve.repository.candidates import CheckpointFile
from sigmoid_serve.repository.load_problems import LoadProblem, log_passed_over, more
from sigmoid_serve.repository.model_repository import (
    CheckpointContent,
    ModelRepository,
    read_contents,
)

_MOST_NAMED: Final = 5

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


def read_at_startup(
    model_repository: ModelRepository, seconds: float = 300.0
) -> tuple[list[CheckpointContent], list[LoadProblem]]:
    """Read all files of the model repository, and log what is passed over.

    Args:
        model_repository: To be read.
        seconds: Longest time to scan it, and to read each file.

    Raises:
        ServingError: What was named cannot be served, or nothing can.
    """
    files, problems = within(seconds, model_repository.scan)
    contents, unread = within(seconds * max(1, len(files)), read_contents, files)
    problems = [*problems, *unread]
    require_named_models(files, {content.file.name for content in contents}, problems)
    log_passed_over(problems)
    return contents, problems


def within(
    seconds: float, function: Callable[[*Arguments], Result], *args: *Arguments
) -> Result:
    """Call a function that may wait for a disk, and give it up after some time.

    Raises:
        ServingError: It has not ended in time.
    """
    try:
        return DaemonThreads().start(function, *args).result(seconds)
    except FuturesTimeout:
        raise ServingError(
            f"the models were not read and loaded within {seconds:g} s; mend the disk "
            "that they are on, or set SIGMOID_LOAD_SECONDS, the time for each, higher"
        ) from None


def require_named_models(
    files: Iterable[CheckpointFile],
    names: Collection[str],
    problems: Sequence[LoadProblem],
) -> None:
    """Fail the start unless all models that were named can be served, and at least one.

    Args:
        files: All that were found.
        names: Of the models that can be served.
        problems: Of those that cannot.

    Raises:
        ServingError: In one sentence, what is wrong.
    """
    missing = {s.name for s in files if s.is_named and s.name not in names}
    for each in problems:
        if each.severity == "fatal" or (each.is_listed and each.name in missing):
            raise ServingError(each.sentence)
    if not names:
        sentences = [each.sentence for each in problems if each.severity != "quiet"]
        told = [*sentences[:_MOST_NAMED], *more(len(sentences), _MOST_NAMED)]
        raise ServingError(f"there is nothing to serve: {'; '.join(told)}")
