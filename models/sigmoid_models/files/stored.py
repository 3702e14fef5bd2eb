"""Tensors as a file stores them: where their bytes lie, what shape they have.

What a file says of a tensor is checked before the tensor is made. It is then made from
the file's bytes in float32 at once, piece by piece, with no other copy in between.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sigmoid_models.files.regular_file import FileBytes, give_back

Index: TypeAlias = tuple[slice, ...]

MAX_RANK: Final = 32
FLOATING: Final = {"float16": "f2", "bfloat16": "u2", "float32": "f4", "float64": "f8"}
"""The dtypes that are served, and NumPy's code to read the bytes of each."""

_LARGEST: Final = 2**62
_PIECE: Final = 2**20


class FormatError(Exception):
    """A file has a wrong layout; the message says what is wrong."""


@dataclass(slots=True)
class Stored:
    """A tensor in a file.

    Attributes:
        dtype: Its dtype, as PyTorch names it, such as `float32`.
        shape: Its shape.
        strides: Its strides, in elements.
        first: Index of its first element in the storage.
        start: Offset of the storage's first byte in the file.
        elements: Number of elements of the storage.
        is_swapped: Whether the bytes of each element are in big-endian order.
        place: `layout, device`; a tensor of another layout or device than
            `strided, cpu` has no storage here.
        key: The key of its storage, as long as it has no place in the file: `start`
            then counts from the storage's beginning; see `place_at`.
        is_last_use: Whether nobody needs its bytes once it is made, so that their
            memory is given back.
    """

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...] = ()
    first: int = 0
    start: int = 0
    elements: int = 0
    is_swapped: bool = False
    place: str = "strided, cpu"
    key: str = ""
    is_last_use: bool = False

    @property
    def kind(self) -> str:
        """The dtype, layout and device, for messages."""
        return f"{self.dtype}, {self.place}"

    @property
    def is_servable(self) -> bool:
        """Whether it is a dense tensor of floating-point numbers."""
        return self.dtype in FLOATING and self.place == "strided, cpu"

    @property
    def size(self) -> int:
        """Number of its elements."""
        return prod(self.shape)

    @property
    def is_there(self) -> bool:
        """Whether all its elements lie in the storage, which has at least as many."""
        if 0 in self.shape:
            return True
        return self._stop <= self.elements and self.size <= self.elements

    @property
    def _stop(self) -> int:
        """Index of the element behind its last in the storage."""
        pairs = zip(self.shape, self.strides, strict=True)
        return self.first + sum((length - 1) * stride for length, stride in pairs) + 1

    @property
    def place_in_file(self) -> range:
        """Where its bytes lie in the file, from its first element to its last."""
        if not self.size:
            return range(0)
        size = np.dtype(FLOATING[self.dtype]).itemsize
        return range(self.start + self.first * size, self.start + self._stop * size)

    def place_at(self, start: int, *, is_swapped: bool = False) -> None:
        """Give it its place in the file, for its key.

        Args:
            start: Offset of the first byte of its storage's data.
            is_swapped: Whether the bytes of each element are in big-endian order.
        """
        self.start += start
        self.is_swapped = is_swapped
        self.key = ""

    def float64(self, content: FileBytes) -> NDArray[np.float64]:
        """Make an array of its numbers, each exact.

        Args:
            content: The bytes of the file.
        """
        made = np.empty(self.shape)
        for index, piece in self.pieces(content):
            made[index] = piece
        return made

    def float32(self, content: FileBytes) -> Tensor:
        """Make the tensor, contiguous.

        Args:
            content: The bytes of the file.
        """
        made = torch.empty(self.shape, dtype=torch.float32)
        result = made.numpy()
        # A number beyond float32 becomes infinite; `is_finite` finds it later.
        with np.errstate(over="ignore"):
            for index, piece in self.pieces(content):
                np.copyto(result[index], piece, casting="same_kind")
        return made

    def pieces(self, content: FileBytes) -> Iterator[tuple[Index, NDArray[Any]]]:
        """Yield its numbers piece by piece, each in a floating dtype that holds them.

        Args:
            content: The bytes of the file.

        Yields:
            Where in the tensor a piece is, and its numbers.
        """
        if not self.size:
            return
        view = self._view(content)
        # Cut across the longest steps: so a piece lies together in the file, and only
        # what lies before the next piece has been read for the last time.
        axis = int(np.argmax(view.strides))
        length, step = view.shape[axis], view.strides[axis]
        count = max(1, _PIECE * length // view.size)
        place = self.place_in_file
        kept = place.start
        for first in range(0, length, count):
            index = _across(axis, slice(first, first + count), view.ndim)
            piece = view[index]
            yield index, _widened(piece) if self.dtype == "bfloat16" else piece
            if self.is_last_use:
                behind = place.start + (first + count) * step
                kept = give_back(content, kept, min(behind, place.stop))

    def _view(self, content: FileBytes) -> NDArray[Any]:
        order = ">" if self.is_swapped else "<"
        whole = np.frombuffer(
            content, f"{order}{FLOATING[self.dtype]}", self.elements, self.start
        )[self.first :]
        steps = [stride * whole.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(
            whole, self.shape, steps, writeable=False
        )


def strides_of(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of a contiguous tensor, in elements."""
    strides = [1]
    for length in reversed(shape[1:]):
        strides.append(strides[-1] * length)
    return tuple(reversed(strides))[: len(shape)]


def checked_shape(value: object) -> tuple[int, ...]:
    """Return a shape, or strides, from a file.

    Raises:
        FormatError: It is no list of numbers, or has more dimensions or elements than
            any tensor.
    """
    if not isinstance(value, list | tuple) or len(value) > MAX_RANK:
        raise FormatError(f"a shape that is no list of at most {MAX_RANK} numbers")
    shape = tuple(map(checked_number, value))
    if prod(shape) >= _LARGEST:
        raise FormatError("a shape of more elements than there can be")
    return shape


def checked_number(value: object) -> int:
    """Return a length or an offset from a file.

    Raises:
        FormatError: It is no number, negative or too large.
    """
    if type(value) is not int or not 0 <= value < _LARGEST:
        raise FormatError("a length or a place that is no number")
    return value


def is_finite(tensor: Tensor) -> bool:
    """Tell whether all numbers are finite, in little memory."""
    flat = tensor.view(-1).numpy()
    return all(
        bool(np.isfinite(flat[start : start + _PIECE]).all())
        for start in range(0, len(flat), _PIECE)
    )


def _across(axis: int, part: slice, rank: int) -> Index:
    """Write the index of a part along one axis, and of all along the others."""
    return tuple(part if each == axis else slice(None) for each in range(rank))


def _widened(piece: NDArray[Any]) -> NDArray[np.float32]:
    """Make float32 of bfloat16, which is its upper half."""
    wide = piece.astype(np.uint32)
    np.left_shift(wide, 16, out=wide)
    return wide.view(np.float32)
