"""A network's layers on a device, and the memory that its batches are computed in.

A bias is one more weight of its unit, and its input is constant, so that a layer is one
plain product: for a few rows, to add the bias would take as long again. The constant is
1 for the features, and a power of two behind each function, for which one more unit
stands (see `sigmoid_serve.engine.padding`).
"""

from collections.abc import Callable, Sequence
from threading import local
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sigmoid_models.architecture import Architecture
from sigmoid_models.dtype import Float64Array
from sigmoid_models.functions import Function
from sigmoid_models.probabilities import Float32Array
from sigmoid_serve.engine.invariance import Step, telling_values
from sigmoid_serve.engine.padding import (
    Compute,
    padded_matrices,
    padded_widths,
    restoring_functions,
)
from sigmoid_serve.engine.products import product_for

_CACHED_NUMBERS: Final = 2**17
"""Numbers of a batch that stay in the cache of a core: half a megabyte of float32."""

# The same, where the weights leave that cache anyway.
_SHARED_NUMBERS: Final = 2**22

# Multiplications of a batch that reads the weights seldom enough. Two cores take 0.2 s.
_ENOUGH_PRODUCTS: Final = 2**35


class ResidentNetwork:
    """The layers on a device, their weights laid out to be multiplied with.

    Args:
        layers: The linear layers, first to last.
        functions: Behind each layer but the last.
        architecture: Of the network.
        device: Where it computes.
        is_last_use: Whether nobody else needs the layers' weights: each is let go of as
            soon as it is laid out.
        report: Called with the number of each layer, from 1, before it is laid out.

    Attributes:
        device: As given.
        macs_per_row: Multiplications that one row takes, padding included.
        is_packed: Whether all cores share each product.
    """

    def __init__(
        self,
        layers: Sequence[nn.Linear],
        functions: Sequence[Function],
        architecture: Architecture,
        device: torch.device,
        *,
        is_last_use: bool = False,
        report: Callable[[int], None] = lambda layer: None,
    ) -> None:
        self.device = device
        self._features = architecture.features
        self._outputs = architecture.outputs
        self._functions = tuple(function.in_place for function in functions)
        self._restoring = restoring_functions(layers, functions)
        product = product_for(architecture.sizes, device)
        self.is_packed = product.is_packed
        self._multiply = product.multiply
        self._widths = padded_widths(architecture.sizes, product.block)
        self._weights: list[Tensor] = []
        self.macs_per_row = 0
        matrices = padded_matrices(layers, functions, product.block)
        with torch.inference_mode():
            for position, layer in enumerate(layers):
                report(position + 1)
                matrix = next(matrices)
                if is_last_use:
                    layer.weight = nn.Parameter(torch.empty(0), requires_grad=False)
                self.macs_per_row += matrix.numel()
                self._weights.append(product.lay_out(matrix).to(device))
                del matrix
        self._kept = _Kept()

    @property
    def hidden_widths(self) -> list[int]:
        """How wide the signals are that a function is applied to."""
        return self._widths[1:-1]

    @property
    def most_rows(self) -> int | None:
        """Rows of a batch, beyond which it takes no less time per row, if any."""
        if self.device.type != "cpu":
            return None
        numbers = _numbers_of_a_row(self._widths)
        if self.is_packed:
            enough = _ENOUGH_PRODUCTS // self.macs_per_row
            return min(enough, _SHARED_NUMBERS // numbers)
        return _CACHED_NUMBERS // numbers

    def logits(
        self,
        features: Float64Array | Float32Array,
        size: int,
        *,
        is_restoring: bool = False,
    ) -> Float32Array:
        """Map standardised features `(rows, features)` to logits `(rows, outputs)`.

        The features are rounded to float32.

        Args:
            features: Of at most `size` rows.
            size: Rows of the batch, the rest of which is zeros or old rows.
            is_restoring: Whether a signal beyond float32 is kept from the padding.
        """
        functions = self._restoring if is_restoring else self._functions
        # The server's event loop is in this mode for good, which saves entering it.
        if torch.is_inference_mode_enabled():
            return self._batch(features, size, functions)
        with torch.inference_mode():
            return self._batch(features, size, functions)

    def steps(self) -> list[Step]:
        """List all that is done with a batch, each kind of it once.

        The kernel of a product is chosen by its shape. Packed weights are tried as they
        are, in place of others random ones, of which no number is 0.
        """
        products: dict[tuple[int, int], Step] = {}
        functions: dict[tuple[Compute, int], Step] = {}
        for position, weights in enumerate(self._weights):
            inputs, units = self._widths[position : position + 2]
            if (inputs, units) not in products:
                tried = weights if self.is_packed else self._random(inputs, units)
                product = self._product_with(tried)
                products[inputs, units] = Step(product, inputs, units)
            if position:
                function = self._functions[position - 1]
                if (function, inputs) not in functions:
                    values = telling_values(function)
                    changed = _of(function)
                    functions[function, inputs] = Step(changed, inputs, inputs, values)
        return [*products.values(), *functions.values()]

    def _random(self, *shape: int) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return torch.randn(shape, generator=generator).to(self.device)

    def _product_with(self, weights: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda signals: self._multiply(signals, weights, None)

    def _batch(
        self,
        features: Float64Array | Float32Array,
        size: int,
        functions: tuple[Compute, ...],
    ) -> Float32Array:
        rows, width = features.shape
        buffers = self._buffers(size)
        buffers.features[:rows, :width] = features
        signal = buffers.uploaded()
        multiply = self._multiply
        for position, weights in enumerate(self._weights):
            if position:
                functions[position - 1](signal)
            signal = multiply(signal, weights, buffers.results[position])
        return buffers.downloaded(signal)[:rows, : self._outputs].copy()

    def _buffers(self, size: int) -> "_Buffers":
        """Make the memory of a batch; a thread keeps what stays in the cache."""
        buffers = self._kept.buffers.get(size)
        if buffers is None:
            widths = self._widths[:1] if self.is_packed else self._widths
            buffers = _Buffers(widths, size, self.device, len(self._weights))
            buffers.features[:, self._features] = 1
            if size * _numbers_of_a_row(widths) <= _CACHED_NUMBERS:
                self._kept.buffers[size] = buffers
        return buffers


def _of(function: Compute) -> Callable[[Tensor], Tensor]:
    """Return the signals that a function has changed in their place."""

    def compute(signals: Tensor) -> Tensor:
        function(signals)
        return signals

    return compute


class _Kept(local):
    """The memory that a thread keeps from batch to batch, by its rows."""

    def __init__(self) -> None:
        self.buffers: dict[int, _Buffers] = {}


class _Buffers:
    """The memory of one batch on a device, with its ends on the CPU.

    Args:
        widths: Of the features, and of the results of each layer; of the features alone
            where the results have memory of their own.
        rows: Of the batch.
        device: Where it is computed.
        layers: How many there are.

    Attributes:
        features: `(rows, widths[0])`, on the CPU; zeros at first.
        results: Memory for the result of each layer, which takes the place of the last
            but one.
    """

    def __init__(
        self, widths: Sequence[int], rows: int, device: torch.device, layers: int
    ) -> None:
        # PyTorch's memory is aligned, which NumPy's need not be.
        self._host = torch.zeros(rows, widths[0])
        self.features: NDArray[np.float32] = self._host.numpy()
        # On the CPU this is the same memory.
        self._uploaded = self._host.to(device)
        self.results: list[Tensor | None] = [None] * layers
        # A result is needed until the next one is there: two memories are enough.
        both = [
            torch.empty(rows * max(widths[1:], default=0), device=device)
            for _ in range(2)
        ]
        for position, width in enumerate(widths[1:]):
            result = both[position % 2][: rows * width].view(rows, width)
            self.results[position] = result
        # To make an array of a tensor takes longer than to look at one.
        last = self.results[-1]
        self._last = last.numpy() if last is not None and device.type == "cpu" else None

    def uploaded(self) -> Tensor:
        """Bring the features to the device."""
        if self._uploaded is not self._host:
            self._uploaded.copy_(self._host)
        return self._uploaded

    def downloaded(self, signal: Tensor) -> NDArray[np.float32]:
        """Bring the last result to the CPU."""
        if self._last is not None:
            return self._last
        array: NDArray[np.float32] = signal.cpu().numpy()
        return array


def _numbers_of_a_row(widths: Sequence[int]) -> int:
    """Count the numbers that `_Buffers` holds for a row."""
    return widths[0] + 2 * max(widths[1:], default=0)
