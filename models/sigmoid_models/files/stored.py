"""Tensors as a file stores them: where their bytes lie, what shape they have.

What a file says of a tensor is checked before the tensor is made. It is then made from
the file's bytes in float32 at once, with no other copy in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
        pairs = zip(self.shape, self.strides, strict=True)
        last = self.first + sum((length - 1) * stride for length, stride in pairs)
        return last < self.elements and self.size <= self.elements

    def place_at(self, start: int, *, is_swapped: bool = False) -> None:
        """Give it its place in the file, for its key.

        Args:
            start: Offset of the first byte of its storage's data.
            is_swapped: Whether the bytes of each element are in big-endian order.
        """
        self.start += start
        self.is_swapped = is_swapped
        self.key = ""

    def float64(self, content: bytes) -> NDArray[np.float64]:
        """Make an array of its numbers, each exact.

        Args:
            content: The bytes of the file.
        """
        if self.dtype == "bfloat16":
            return self.float32(content).numpy().astype(np.float64)
        made = np.empty(self.shape)
        if self.size:
            np.copyto(made, self._view(content))
        return made

    def float32(self, content: bytes) -> Tensor:
        """Make the tensor, contiguous.

        Args:
            content: The bytes of the file.
        """
        made = torch.empty(self.shape, dtype=torch.float32)
        if self.size:
            result = made.numpy()
            # A number beyond float32 becomes infinite; `is_finite` finds it later.
            with np.errstate(over="ignore"):
                _convert(self._view(content), result, self.dtype == "bfloat16")
        return made

    def _view(self, content: bytes) -> NDArray[Any]:
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


def _convert(
    source: NDArray[Any], result: NDArray[np.float32], is_bfloat16: bool
) -> None:
    if is_bfloat16:
        # The upper half of a float32.
        wide = result.view(np.uint32)
        np.copyto(wide, source)
        np.left_shift(wide, 16, out=wide)
    else:
        np.copyto(result, source, casting="same_kind")
