"""Rows of features to what a model says of them, on one device, in batches.

Equal rows get equal answers, bit for bit, whatever they are batched with, at any place
in the batch. A matrix product may use other kernels for other batch sizes and for the
rows at a batch's edge; so only sizes are used of which it was tried that they agree
(`sigmoid_serve.engine.invariance`), on the machine at hand when the network is loaded.
A batch is filled up to one of them with zeros, and the weights to whole blocks in both
dimensions, which leaves few edges. The zeros change no sum.
"""

from collections.abc import Callable
from math import isfinite
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
from sigmoid_serve.engine.batch_sizes import size_for, sizes_to_try
from sigmoid_serve.engine.invariance import find_batch_invariant_sizes
from sigmoid_serve.engine.network import ResidentNetwork
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


class Engine:
    """A network that is resident on a device.

    Args:
        checkpoint: The network and its card.
        device: Where it computes.
        max_batch_rows: Rows per batch; more are split, with the same bits.
        threads: PyTorch's threads that may share a batch, where the layers are large.
        is_last_use: Whether nobody needs the checkpoint's network any more; its weights
            are then let go of one by one, as they come to the device.
        report: Called with what is done next, as it goes on.

    Attributes:
        features: Of a row.
        outputs: Of a row.
        max_batch_rows: As given.
        macs_per_row: Multiplications that one row takes, padding included.
        batch_sizes: Rows of a batch, largest first.
        shared_by: PyTorch's threads that should share a batch; the sizes agree with so
            many and with one.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        max_batch_rows: int,
        *,
        threads: int = 1,
        is_last_use: bool = False,
        report: Callable[[str], None] = lambda step: None,
    ) -> None:
        self.card: ModelCard = checkpoint.card
        architecture = checkpoint.card.architecture
        self.features = architecture.features
        self.outputs = architecture.outputs
        self.device = device
        self.max_batch_rows = max_batch_rows
        layers = linear_layers(checkpoint.network)
        self._network = ResidentNetwork(
            layers,
            [function_of(name) for name in self.card.activations],
            architecture,
            device,
            is_last_use=is_last_use,
            report=lambda layer: report(f"layer {layer} of {len(layers)}"),
        )
        self.macs_per_row = self._network.macs_per_row
        most_rows = self._network.most_rows
        wanted = max_batch_rows if most_rows is None else min(most_rows, max_batch_rows)
        # Threads may share the sum of a very long row, each in its own way.
        self.shared_by = threads if self._network.is_packed else 1
        self.batch_sizes = self._proven_sizes(wanted, report)
        if self.batch_sizes == (1,) and self.shared_by > 1:
            self.shared_by = 1
            self.batch_sizes = self._proven_sizes(wanted, report)
        # Looked up, not computed, for every batch.
        self._size_for = [
            size_for(rows, self.batch_sizes)
            for rows in range(1, self.batch_sizes[0] + 1)
        ]

    def _proven_sizes(
        self, most_rows: int, report: Callable[[str], None]
    ) -> tuple[int, ...]:
        return find_batch_invariant_sizes(
            self._network.steps(),
            sizes_to_try(
                self.device, most_rows, self._network.hidden_widths, self.shared_by
            ),
            self.device,
            self.shared_by,
            lambda size: report(f"equal bits in batches of {size} rows"),
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
        start, left = 0, len(rows)
        while left > 0:
            size = self._size_for[min(left, len(self._size_for)) - 1]
            parts.append(self._finite_logits(rows[start : start + size], start, size))
            start += size
            left -= size
        if len(parts) == 1:
            return parts[0]
        empty = np.empty((0, self.outputs), np.float32)
        return np.concatenate([empty, *parts])

    def _finite_logits(self, rows: Float64Array, start: int, size: int) -> Float32Array:
        """Compute one batch, whose first row is the row `start` of the request."""
        try:
            # No pass over the features of its own: the processor has noticed it.
            with np.errstate(over="raise"):
                features = standardise(rows, self.card)
                logits = self._network.logits(features, size)
        except FloatingPointError:
            row, feature = _first_beyond_float32(rows, self.card)
            expected = "features within the range of float32, once standardised"
            raise RowError("overflow", (start + row, feature), expected) from None
        if not isfinite(_sum_of_squares(logits)):
            logits = self._restored(logits, features, size)
            finite = np.isfinite(logits).all(axis=1)
            if not finite.all():
                row = start + int(np.argmin(finite))
                raise RowError("not_finite", (row,), "finite logits")
        return logits

    def _restored(
        self, logits: Float32Array, features: Float64Array, size: int
    ) -> Float32Array:
        """Compute those rows again that a signal beyond float32 may have spoilt.

        In a batch of the same size, since no other need be one that may be used.
        """
        finite = np.isfinite(logits).all(axis=1, keepdims=True)
        if finite.all():
            return logits
        restored = self._network.logits(features, size, is_restoring=True)
        return np.where(finite, logits, restored)

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
