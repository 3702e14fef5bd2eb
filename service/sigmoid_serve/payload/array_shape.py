"""The shape of a JSON array of numbers, verified on the lengths of its lists.

simdjson tells the length of a list without reading its elements. An array is dense if
all lists of a level have the same length. If the text has no other lists than these,
the innermost ones hold numbers only.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

MAX_RANK: Final = 32
"""The most dimensions of a tensor, as JSON or `.npy`."""


class Unverified(ValueError):
    """The fast way cannot tell whether a text is a dense array of finite numbers."""


class ShapeCheck:
    """Verifies the shape of an array while its text is read in slices.

    Args:
        rank: How many `[` the text starts with.

    Raises:
        Unverified: It starts with none, or with more than `MAX_RANK`.
    """

    def __init__(self, rank: int) -> None:
        if not 1 <= rank <= MAX_RANK:
            raise Unverified
        self._lengths: list[int | None] = [None] * rank
        # The elements read so far of the last list of each level.
        self._begun = [0] * rank

    def read(self, array: Any, lists: int, before: int, after: int) -> None:
        """Go on with a slice of the text, between two commas.

        Args:
            array: What simdjson reads of the slice, completed by the brackets that it
                lacks.
            lists: Number of lists in the array, counted on its text.
            before: How many lists are open where the slice starts.
            after: How many lists are open where the slice ends.

        Raises:
            Unverified: The array is not dense.
        """
        for level, lengths in enumerate(_lengths(array, len(self._begun)), 1):
            # An empty list at an edge might be completed to more than the text says.
            if not (lengths[0] and lengths[-1]):
                raise Unverified
            lists -= len(lengths)
            if before >= level:
                # Its first element may be a list that is itself continued.
                lengths[0] += self._begun[level - 1] - (before > level)
            if after >= level:
                self._begun[level - 1] = lengths.pop()
            if lengths:
                length = self._lengths[level - 1]
                if length is None:
                    length = self._lengths[level - 1] = lengths[0]
                if lengths.count(length) != len(lengths):
                    raise Unverified
        if lists:
            raise Unverified

    def shape(self) -> tuple[int, ...]:
        """Return the shape of the whole array, once all slices were read."""
        return tuple(length or 0 for length in self._lengths)


def _lengths(array: Any, rank: int) -> list[list[int]]:
    """List the lengths of all lists of each level, from the outermost on."""
    lists = [array]
    lengths = [[len(array)]]
    for level in range(2, rank + 1):
        inner: Iterable[Any] = chain.from_iterable(lists)
        if level < rank:
            inner = lists = list(inner)
        lengths.append(list(map(len, inner)))
    return lengths
