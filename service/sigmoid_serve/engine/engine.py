"""Rows of features to what a model says of them, on one device, in batches.

Equal rows get equal answers, bit for bit, whatever they are batched with, at any place
in the batch. A matrix product may use other kernels for other batch sizes and for the
rows at a batch's edge; zero-padding the batch to whole blocks of 32 rows, and the
weights to multiples of 16 in both dimensions, leaves it no edge. The zeros change no
sum. `sigmoid_serve.engine.invariance` proves it on the machine at hand when the network
is loaded, and finds the batch sizes that may be used.

A bias is one more row of its layer's weight, and its input is constant, so that a layer
is one plain product: for a few rows, to add the bias would take as long again. The
constant is 1 for the features, and a power of two behind each function, for which one
more unit stands (see `sigmoid_serve.engine.padding`).
"""

from math import isfinite
from threading import local
from typing import Final, NamedTuple

import numpy as np
import torch

from sigmoid_models.card import ModelCard
from sigmoid_models.checkpoint import Checkpoint
from sigmoid_models.classifier import linear_layers
from sigmoid_models.dtype import Float64Array
from sigmoid_models.functions import function_of
from sigmoid_models.logits import standardise
from sigmoid_models.probabilities import Float32Array, Labels, labels, probabilities
from sigmoid_serve.engine.device import (
    CACHED_ELEMENTS,
    Buffers,
    most_elements,
    row_elements,
)
from sigmoid_serve.engine.invariance import BLOCK_ROWS, find_batch_invariant_sizes
from sigmoid_serve.engine.padding import (
    Compute,
    padded_matrices,
    restoring_functions,
    whole,
)
from sigmoid_serve.errors import Code, ServiceError

GOLDEN_TOLERANCE: Final = 1e-4

_DOT_ELEMENTS: Final = 8192


class RowError(ServiceError):
    """A row that the network has no answer to.

    Attributes:
        index: Of the row, and for `overflow` of its feature too.
    """

    def __init__(self, code: Code, index: tuple[int, ...], expected: str) -> None:
        got = "a value that is not finite"
        super().__init__(
            code, f"expected {expected}, got {got}", expected=expected, got=got
        )
        self.index = index


class Prediction(NamedTuple):
    """What a model says of some rows.

    Attributes:
        logits: `(rows, outputs)`, finite.
        probabilities: The same shape.
        labels: `(rows,)`, or `(rows, outputs)` for multilabel models.
    """

    logits: Float32Array
    probabilities: Float32Array
    labels: Labels

    def reshaped(self, shape: tuple[int, ...]) -> "Prediction":
        """Lay out the rows in another shape."""
        logits, likely, labels = self
        if not shape:  # to index one row takes less time
            labels = labels.reshape(labels.shape[1:])
            return Prediction(logits[0], likely[0], labels)
        return Prediction(
            logits.reshape((*shape, logits.shape[1])),
            likely.reshape((*shape, likely.shape[1])),
            labels.reshape((*shape, *labels.shape[1:])),
        )


class _Kept(local):
    """The memory that a thread keeps from batch to batch, by its rows."""

    def __init__(self) -> None:
        self.buffers: dict[int, Buffers] = {}


class Engine:
    """A network that is resident on a device.

    Args:
        checkpoint: The network and its card.
        device: Where it computes.
        max_batch_rows: Rows per batch; more are split, with the same bits.

    Attributes:
        features: Of a row.
        outputs: Of a row.
        max_batch_rows: As given.
        macs_per_row: Multiplications that one row takes, padding included.
        batch_sizes: Rows of a batch, largest first.
    """

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, max_batch_rows: int
    ) -> None:
        self.card: ModelCard = checkpoint.card
        self.features = checkpoint.card.architecture.features
        self.outputs = checkpoint.card.architecture.outputs
        self.device = device
        self.max_batch_rows = max_batch_rows
        layers = linear_layers(checkpoint.network)
        functions = [function_of(name) for name in self.card.activations]
        matrices = padded_matrices(layers, functions)
        with torch.inference_mode():
            self._layers = [matrix.to(device, copy=True) for matrix in matrices]
        self._functions = tuple(function.in_place for function in functions)
        self._restoring = restoring_functions(layers, functions)
        self._widths = [len(matrices[0]), *(matrix.shape[1] for matrix in matrices)]
        self._kept = _Kept()
        self.macs_per_row = sum(matrix.numel() for matrix in matrices)
        self._row_elements = row_elements(self._widths)
        self.batch_sizes = find_batch_invariant_sizes(
            lambda features: self._network(features, self._functions),
            self.features,
            self.macs_per_row,
            min(max_batch_rows, most_elements(device) // self._row_elements),
        )

    def predict(self, rows: Float64Array) -> Prediction:
        """Compute all that the model says of raw features, finite, `(rows, features)`.

        Raises:
            RowError: See `logits`.
        """
        logits = self.logits(rows)
        likely = probabilities(logits, self.card)
        return Prediction(logits, likely, labels(logits, likely, self.card))

    def logits(self, rows: Float64Array) -> Float32Array:
        """Compute the logits of raw features.

        Args:
            rows: `(rows, features)`, finite.

        Returns:
            `(rows, outputs)`, finite.

        Raises:
            RowError: `overflow` where a standardised feature is beyond float32,
                `not_finite` where a logit is.
        """
        parts = []
        start = 0
        while start < len(rows):
            stop = start + self._size(len(rows) - start)
            parts.append(self._finite_logits(rows[start:stop], start))
            start = stop
        if len(parts) == 1:
            return parts[0]
        empty = np.empty((0, self.outputs), np.float32)
        return np.concatenate([empty, *parts])

    def _size(self, rows: int) -> int:
        """Choose the largest batch that these rows fill, to the last block."""
        blocks = whole(rows, BLOCK_ROWS)
        return next((s for s in self.batch_sizes if s <= blocks), self.batch_sizes[-1])

    def _finite_logits(self, rows: Float64Array, start: int) -> Float32Array:
        """Compute one batch, whose first row is the row `start` of the request."""
        try:
            # No pass over the features of its own: the processor has noticed it.
            with np.errstate(over="raise"):
                features = standardise(rows, self.card)
                logits = self._network(features, self._functions)
        except FloatingPointError:
            row, feature = _first_beyond_float32(rows, self.card)
            expected = "features within the range of float32, once standardised"
            raise RowError("overflow", (start + row, feature), expected) from None
        if not isfinite(_sum_of_squares(logits)):
            logits = self._restored(logits, features)
            finite = np.isfinite(logits).all(axis=1)
            if not finite.all():
                row = start + int(np.argmin(finite))
                raise RowError("not_finite", (row,), "finite logits")
        return logits

    def _restored(self, logits: Float32Array, features: Float64Array) -> Float32Array:
        """Compute those rows again that a signal beyond float32 may have spoilt.

        In the same batch, since no other size need be one that may be used.
        """
        finite = np.isfinite(logits).all(axis=1, keepdims=True)
        if finite.all():
            return logits
        return np.where(finite, logits, self._network(features, self._restoring))

    def _network(
        self, features: Float64Array | Float32Array, functions: tuple[Compute, ...]
    ) -> Float32Array:
        """Map standardised features `(rows, features)` to logits `(rows, outputs)`.

        The features are rounded to float32, and the batch is padded to whole blocks.
        """
        # The server's event loop is in this mode for good, which saves entering it.
        if torch.is_inference_mode_enabled():
            return self._batch(features, functions)
        with torch.inference_mode():
            return self._batch(features, functions)

    def _batch(
        self, features: Float64Array | Float32Array, functions: tuple[Compute, ...]
    ) -> Float32Array:
        rows, width = features.shape
        buffers = self._buffers(rows)
        buffers.features[:rows, :width] = features
        buffers.upload()
        signal, *results = buffers.signals
        for position, matrix in enumerate(self._layers):
            if position:
                functions[position - 1](signal)
            torch.mm(signal, matrix, out=results[position])
            signal = results[position]
        return buffers.logits(rows, self.outputs)

    def _buffers(self, rows: int) -> Buffers:
        """Make the memory of a batch; a thread keeps what stays in the cache."""
        size = whole(rows, BLOCK_ROWS)
        buffers = self._kept.buffers.get(size)
        if buffers is None:
            buffers = Buffers(self._widths, size, self.device)
            buffers.features[:, self.features] = 1
            if size * self._row_elements <= CACHED_ELEMENTS:
                self._kept.buffers[size] = buffers
        return buffers

    def golden_fault(self) -> str | None:
        """Compare the golden rows; see `golden_check`."""
        return self.golden_check()[1]

    def golden_check(self) -> tuple[float | None, str | None]:
        """Compute the card's golden rows on the device and compare.

        Returns:
            The largest `|got - want| / max(1, |want|)`, None where there are no such
            rows or logits; and what was found, None where it is at most 1e-4.
        """
        if self.card.golden is None:
            return None, None
        want = np.asarray(self.card.golden.logits)
        try:
            got = self.logits(np.asarray(self.card.golden.inputs, dtype=np.float64))
        except RowError as error:
            return None, f"golden check failed: {error.detail}"
        worst = float(np.max(np.abs(got - want) / np.maximum(1.0, np.abs(want))))
        if worst <= GOLDEN_TOLERANCE:
            return worst, None
        return worst, (
            f"golden check failed: logits are off by {worst:.1e}, "
            f"the tolerance is {GOLDEN_TOLERANCE:.0e}"
        )


def _sum_of_squares(values: Float32Array) -> float:
    """Add up the squares; not finite where a value is not, or is very large."""
    # With more elements, a dot product of NumPy's wakes the threads of its own pool.
    if values.size <= _DOT_ELEMENTS:
        return float(np.vdot(values, values))
    return float(np.einsum("ij,ij->", values, values))


def _first_beyond_float32(rows: Float64Array, card: ModelCard) -> tuple[int, int]:
    with np.errstate(over="ignore"):
        finite = np.isfinite(standardise(rows, card).astype(np.float32))
    row, feature = divmod(int(np.argmin(finite)), finite.shape[1])
    return row, feature
