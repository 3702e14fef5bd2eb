"""What serves first: what is named must, what is found in a folder may."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from service.claims import Source
from service.settings import ServingError
from service.sources import File, Roots, read_files
from service.troubles import Trouble, log_passed_over, more

_MOST_NAMED: Final = 5


def first_look(roots: Roots) -> tuple[list[File], list[Trouble]]:
    """Read all that there is, and name in the log what is passed over.

    Raises:
        ServingError: What was named cannot be served, or nothing can.
    """
    sources, troubles = roots.survey()
    files, unread = read_files(sources)
    troubles = [*troubles, *unread]
    require(sources, {file.source.name for file in files}, troubles)
    log_passed_over(troubles)
    return files, troubles


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
