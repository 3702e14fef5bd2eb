"""The lists that are open at a place in a tensor, and the lengths that they must have.

The first list of each level says how long all lists of that level must be.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sigmoid_serve.errors import ElementError
from sigmoid_serve.json.text import extend_pointer
from sigmoid_serve.payload.array_shape import MAX_RANK
from sigmoid_serve.payload.json_errors import ragged_error


@dataclass(slots=True)
class OpenList:
    """A list whose end was not reached.

    Attributes:
        length: The length that it must have; None for the first list of its level.
        count: Number of its elements that were read.
    """

    length: int | None
    count: int = 0


class Nesting:
    """The open lists of one tensor, or of a list of tensors, each of its own shape.

    Args:
        pointer: JSON Pointer of the outermost list.
        outer: 1 if that list holds tensors, 0 if it is the tensor.

    Attributes:
        outer: 1 if the outermost list holds tensors, 0 if it is the tensor.
        lists: The open lists, the outermost first.
        rank: Number of dimensions of the current tensor.
        lengths: The size of each dimension; None where it is not known yet.
        shapes: The shapes of the tensors that are finished, if there is a list of them.
    """

    __slots__ = ("_pointer", "lengths", "lists", "outer", "rank", "shapes")

    def __init__(self, pointer: str, outer: int) -> None:
        self._pointer = pointer
        self.outer = outer
        self.lists = [OpenList(None) for _ in range(outer)]
        self.rank = 0
        self.lengths: list[int | None] = []
        self.shapes: list[tuple[int, ...]] = []

    @property
    def depth(self) -> int:
        """How many lists of the current tensor are open; -1 after the outermost end."""
        return len(self.lists) - self.outer

    def shape(self) -> tuple[int, ...]:
        """Return the shape of the current tensor, whose lists are all closed."""
        return tuple(length or 0 for length in self.lengths)

    def pointer(self) -> str:
        """Return the JSON Pointer of the element at hand."""
        return extend_pointer(self._pointer, *(one.count for one in self.lists))

    def tensor_pointer(self) -> str:
        """Return the JSON Pointer of the current tensor."""
        outer = self.lists[: self.outer]
        return extend_pointer(self._pointer, *(one.count for one in outer))

    def begin_tensor(self, rank: int) -> None:
        """Begin a tensor whose text starts with so many brackets.

        Raises:
            ElementError: `rank`.
        """
        self.rank = rank
        self.lengths = [None] * rank
        if rank > MAX_RANK:
            raise ElementError(
                "rank",
                pointer=self.pointer(),
                expected=f"lists nested at most {MAX_RANK} deep (SIGMOID_MAX_RANK)",
                got="lists nested deeper",
            )

    def open(self, level: int) -> None:
        """Go into a list of the current tensor, which is of this level, from 0 on."""
        self.lists.append(OpenList(self.lengths[level]))

    def close(self) -> ElementError | None:
        """Go out of the innermost list.

        Returns:
            `ragged`, if its length is wrong.
        """
        closed = self.lists.pop()
        depth = len(self.lists) - self.outer
        if depth < 0:  # it held tensors
            return None
        if closed.length is None:
            self.lengths[depth] = closed.count
        elif closed.length != closed.count:
            return ragged_error(self.pointer(), closed.length, closed.count)
        if self.lists:
            self.lists[-1].count += 1
        if self.outer and not depth:
            self.shapes.append(self.shape())
        return None

    def has_lengths(self) -> bool:
        """Tell whether an open list of the tensor must have a certain length."""
        return any(one.length is not None for one in self.lists[self.outer :])

    def outermost_error(self, commas: Sequence[int]) -> ElementError | None:
        """Find the outermost open list of a wrong length.

        Args:
            commas: How many follow in each open list of the tensor, innermost first.

        Returns:
            `ragged`, or None. It comes before an error inside of that list.
        """
        open_lists = zip(self.lists[self.outer :], reversed(commas), strict=True)
        for place, (one, rest) in enumerate(open_lists, self.outer):
            length = one.count + 1 + rest
            if one.length not in (None, length):
                del self.lists[place:]
                return ragged_error(self.pointer(), one.length, length)
        return None
