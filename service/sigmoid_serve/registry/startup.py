"""What serves first: what is named must, what is found in a folder may."""

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import TimeoutError as FuturesTimeout
from typing import Final, TypeVar, TypeVarTuple

from sigmoid_serve.configuration.settings import ServingError
from sigmoid_serve.registry.errands import Errands
from sigmoid_serve.repository.claims import Source
from sigmoid_serve.repository.sources import File, Roots, read_files
from sigmoid_serve.repository.troubles import Trouble, log_passed_over, more

_MOST_NAMED: Final = 5

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


def first_look(
    roots: Roots, seconds: float = 300.0
) -> tuple[list[File], list[Trouble]]:
    """Read all that there is, and name in the log what is passed over.

    Args:
        roots: Where models are looked for.
        seconds: Longest time to look, and to read a file.

    Raises:
        ServingError: What was named cannot be served, or nothing can.
    """
    sources, troubles = within(seconds, roots.survey)
    files, unread = within(seconds * max(1, len(sources)), read_files, sources)
    troubles = [*troubles, *unread]
    require(sources, {file.source.name for file in files}, troubles)
    log_passed_over(troubles)
    return files, troubles


def within(
    seconds: float, function: Callable[[*Arguments], Result], *args: *Arguments
) -> Result:
    """Call a function that may wait for a disk.

    Raises:
        ServingError: It has not ended in time.
    """
    try:
        return Errands().start(function, *args).result(seconds)
    except FuturesTimeout:
        raise ServingError(
            f"the models were not read and loaded within {seconds:g} s; mend the disk "
            "that they are on, or set SIGMOID_LOAD_SECONDS, the time for each, higher"
        ) from None


def require(
    sources: Iterable[Source], names: Collection[str], troubles: Sequence[Trouble]
) -> None:
    """Stop the start, unless what was named is among what can be served.

    Args:
        sources: What was found.
        names: Of the models that can be served.
        troubles: All that cannot.

    Raises:
        ServingError: In one sentence, what was found.
    """
    missing = {s.name for s in sources if s.is_named and s.name not in names}
    for each in troubles:
        if each.weight == "fatal" or (each.is_listed and each.name in missing):
            raise ServingError(each.sentence)
    if not names:
        sentences = [each.sentence for each in troubles if each.weight != "quiet"]
        told = [*sentences[:_MOST_NAMED], *more(len(sentences), _MOST_NAMED)]
        raise ServingError(f"there is nothing to serve: {'; '.join(told)}")
