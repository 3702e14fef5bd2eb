"""Tensors as a file stores them: where their bytes lie, what shape they have.

What a file says of a tensor is judged before anything is made of it. A tensor is then
made from the file's bytes at once in float32, with no other copy in between.
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
"""What is served, by the layout in which its bytes are read."""

_LARGEST: Final = 2**62
_PIECE: Final = 2**20


class FormatError(Exception):
    """What is wrong with the layout of a file."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor in a file.

    Attributes:
        dtype: As PyTorch calls it, such as `float32`.
        shape: As the file has it.
        strides: In elements.
        first: Place of its first element among those of its storage.
        start: Place of the storage's first byte in the file.
        elements: Of the storage.
        is_swapped: Whether the bytes of each element are in big-endian order.
        place: `layout, device` where its numbers are not simply there, such as
            `sparse_coo, cpu`; such a tensor has no storage.
        key: Of its storage, where the file has a table of them; `start` then counts
            from where that begins.
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
        """What cannot be served, or can."""
        return f"{self.dtype}, {self.place}"

    @property
    def is_servable(self) -> bool:
        """Whether its numbers are there, and are floating-point numbers."""
        return self.dtype in FLOATING and self.place == "strided, cpu"

    @property
    def size(self) -> int:
        """Number of its elements."""
        return prod(self.shape)

    @property
    def is_there(self) -> bool:
        """Whether each of its elements is one of the storage's, and it has no more."""
        if 0 in self.shape:
            return True
        pairs = zip(self.shape, self.strides, strict=True)
        last = self.first + sum((length - 1) * stride for length, stride in pairs)
        return last < self.elements and self.size <= self.elements

    def float32(self, content: bytes) -> Tensor:
        """Make the tensor, contiguous.

        Args:
            content: Of the file.
        """
        made = torch.empty(self.shape, dtype=torch.float32)
        if self.size:
            result = made.numpy()
            # Beyond the range of float32 it is infinite, which is found out later.
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
    """Say how far apart the elements of a contiguous tensor are."""
    strides = [1]
    for length in reversed(shape[1:]):
        strides.append(strides[-1] * length)
    return tuple(reversed(strides))[: len(shape)]


def checked_shape(value: object) -> tuple[int, ...]:
    """Take what a file says of a shape, or of strides.

    Raises:
        FormatError: It is no shape, or one of more dimensions or elements than any
            tensor has.
    """
    if not isinstance(value, list | tuple) or len(value) > MAX_RANK:
        raise FormatError(f"a shape that is no list of at most {MAX_RANK} numbers")
    shape = tuple(map(checked_number, value))
    if prod(shape) >= _LARGEST:
        raise FormatError("a shape of more elements than there can be")
    return shape


def checked_number(value: object) -> int:
    """Take a length or a place.

    Raises:
        FormatError: It is none.
    """
    if type(value) is not int or not 0 <= value < _LARGEST:
        raise FormatError("a length or a place that is no number")
    return value


def is_finite(tensor: Tensor) -> bool:
    """Tell whether all numbers are finite, with no memory of their number."""
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
