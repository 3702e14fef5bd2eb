"""How the signals of a batch are multiplied with the weights of a layer.

A matrix product reads all weights once per batch, and lays them out for its kernel each
time. Where the layers are large, that takes longer than the few rows of a batch are
worth; then the weights are laid out once, by oneDNN, and all cores share each product.
Whether a row has the same bits in every batch is not assumed of either way; see
`sigmoid_serve.engine.invariance`.
"""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Final, NamedTuple

import torch
from torch import Tensor

# Below, MKL's kernels sum up a row in one order in batches of almost every size, and a
# call of oneDNN takes as long as the product.
_PACKED_NUMBERS: Final = 2**19


class Product(NamedTuple):
    """A way to multiply.

    Attributes:
        block: Inputs and units of the matrices are padded to multiples of it.
        lay_out: Lays a matrix `(units, inputs)` out for `multiply`.
        multiply: Multiplies signals `(rows, inputs)` with what `lay_out` made, to
            `(rows, units)`: in the place of the last argument, unless `is_packed`.
        is_packed: Whether the weights are packed; all cores then share a product.
    """

    block: int
    lay_out: Callable[[Tensor], Tensor]
    multiply: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    is_packed: bool


def product_for(sizes: Sequence[int], device: torch.device) -> Product:
    """Choose the way for a network: the same one for all its layers.

    Args:
        sizes: The features, then the units of each layer.
        device: Where it is computed.
    """
    if device.type != "cpu":
        return _ON_GPU
    largest = max((inputs + 1) * units for inputs, units in pairwise(sizes))
    return _PACKED if largest >= _PACKED_NUMBERS and _can_pack() else _PLAIN


def _transposed(matrix: Tensor) -> Tensor:
    return matrix.t().contiguous()


def _multiply(signal: Tensor, matrix: Tensor, out: Tensor | None) -> Tensor:
    return torch.mm(signal, matrix, out=out)


def _pack(matrix: Tensor) -> Tensor:
    # The number of rows is a hint alone. For 1, it lays out for one row.
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(matrix, 64)
    return packed


def _multiply_packed(signal: Tensor, packed: Tensor, _: Tensor | None) -> Tensor:
    result: Tensor = torch.ops.mkldnn._linear_pointwise.default(
        signal, packed, None, "none", [], ""
    )
    return result


@cache
def _can_pack() -> bool:
    """Tell whether this PyTorch has what only its own compiler is promised."""
    try:
        with torch.inference_mode():
            ones = torch.ones(16, 16)
            return bool((_multiply_packed(ones, _pack(ones), None) == 16).all())
    except (AttributeError, RuntimeError, TypeError):
        return False


_PLAIN: Final = Product(8, _transposed, _multiply, is_packed=False)
_ON_GPU: Final = Product(16, _transposed, _multiply, is_packed=False)
_PACKED: Final = Product(16, _pack, _multiply_packed, is_packed=True)
