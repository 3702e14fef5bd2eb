"""The errors of a record's names: which are unknown, which are missing."""

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import Final

from sigmoid_serve.errors import ElementError, shown

# How many names are told, and how much of each.
_TOLD: Final = 3
_TOLD_CHARACTERS: Final = 60

# To look for a near name takes as long as there are names, and as they are long.
_COMPARED: Final = 100


def unknown_name_error(
    pointer: str, unknown: Sequence[str], given: Collection[str], names: Sequence[str]
) -> ElementError:
    """Make the error of names that are no features.

    Args:
        pointer: JSON Pointer of the first of them.
        unknown: The unknown names of the record, at least one.
        given: All names of the record.
        names: Of the model's features.
    """
    near = _near(unknown[0], [name for name in names if name not in given])
    hint = f" ({_told(unknown[:1])} is probably {_told([near])})" if near else ""
    kind = "name" if len(unknown) == 1 else "names"
    return ElementError(
        "features",
        pointer=pointer,
        expected=f"names of features, such as {_told(names[:1])} (the model card lists "
        "them; SIGMOID_EXTRA_FIELDS=ignore passes over others)",
        got=f"the unknown {kind} {_told(unknown)}{hint}",
    )


def missing_name_error(
    pointer: str, missing: Sequence[str], names: Sequence[str]
) -> ElementError:
    """Make the error of features that a record does not have.

    Args:
        pointer: JSON Pointer of the record.
        missing: The names of these features, at least one.
        names: Of all features.
    """
    return ElementError(
        "features",
        pointer=pointer,
        expected=f"all {len(names)} features",
        got=f"a record without {_told(missing)}",
    )


def _told(names: Sequence[str]) -> str:
    """Name the first few, and how many more there are."""
    told = [shown(name[:_TOLD_CHARACTERS]) for name in names[:_TOLD]]
    more = len(names) - _TOLD
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")


def _near(name: str, names: Sequence[str]) -> str | None:
    """Find the name that was probably meant."""
    spelled = _letters([name[:_TOLD_CHARACTERS]])[0]
    letters = _letters(names)
    if spelled in letters:
        return names[letters.index(spelled)]
    some = [each[:_TOLD_CHARACTERS] for each in letters[:_COMPARED]]
    found = get_close_matches(spelled, some, 1, 0.8)
    return names[some.index(found[0])] if found else None


def _letters(names: Iterable[str]) -> list[str]:
    """Spell names without what is often written in another way."""
    return ["".join(filter(str.isalnum, name.casefold())) for name in names]
