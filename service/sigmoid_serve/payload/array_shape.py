"""The shape of a JSON array of numbers, proven on the lengths of its lists.

simdjson tells the length of a list without a look at what is in it. An array is dense
if its lists of each level have one length; and if they are all the lists that the text
has, then nothing but numbers is in those of the innermost level.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

MAX_RANK: Final = 32
"""Of every tensor, as JSON or `.npy`."""


class Unverified(ValueError):
    """A text that may or may not be a dense array of finite numbers."""


class ShapeCheck:
    """What is known of a shape, from the beginning of the array's text on.

    Args:
        rank: How many `[` the text starts with.

    Raises:
        Unverified: There is none, or more than an array may have.
    """

    def __init__(self, rank: int) -> None:
        if not 1 <= rank <= MAX_RANK:
            raise Unverified
        self._lengths: list[int | None] = [None] * rank
        # Of the last list of each level, as far as it was read.
        self._begun = [0] * rank

    def read(self, array: Any, lists: int, before: int, after: int) -> None:
        """Go on with a slice of the text, between two commas.

        Args:
            array: The slice, as simdjson gives it, completed by the brackets that it
                lacks.
            lists: How many it has, from what its text says.
            before: How deep in brackets it starts.
            after: How deep in brackets it ends.

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
        """Give the shape of the whole array, once all was read."""
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
