"""Rows of features to rows of logits, on one device, in batches.

Equal rows get equal logits, bit for bit, whatever they are batched with. A matrix
product may use other kernels for other batch sizes and for the rows at a batch's edge;
zero-padding the batch to whole blocks of 32 rows, and the weights to multiples of 16 in
both dimensions, leaves it no edge. The zeros change no sum.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from models.card import ModelCard
from models.checkpoint import Checkpoint
from models.classifier import linear_layers
from models.dtype import Float64Array
from models.logits import standardise
from models.probabilities import Float32Array
from service.errors import Code, ServiceError

BLOCK_ROWS = 32
BLOCK_UNITS = 16
GOLDEN_TOLERANCE = 1e-4


class RowError(ServiceError):
    """A row that the network has no answer to.

    Attributes:
        index: Of the feature (`overflow`) or row (`not_finite`) in its tensor.
    """

    def __init__(
        self, code: Code, index: Sequence[int], expected: str, got: str
    ) -> None:
        super().__init__(
            code, f"expected {expected}, got {got}", expected=expected, got=got
        )
        self.index = index


class Engine:
    """A network that is resident on a device.

    Args:
        checkpoint: The network and its card.
        device: Where it computes.
        max_batch_rows: Rows per batch; more are split, with the same bits.
    """

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, max_batch_rows: int
    ) -> None:
        self.card: ModelCard = checkpoint.card
        self.device = device
        self._batch_rows = _blocks(max_batch_rows, BLOCK_ROWS)
        self._layers = [
            _padded(layer, device) for layer in linear_layers(checkpoint.network)
        ]

    def logits(self, values: Float64Array) -> Float32Array:
        """Compute the logits of raw features.

        Args:
            values: `(..., features)`, finite.

        Returns:
            `(..., outputs)`, finite.

        Raises:
            RowError: `overflow` where a standardised feature is beyond float32,
                `not_finite` where a logit is.
        """
        rows = values.reshape(-1, self.card.architecture.features)
        with np.errstate(over="ignore"):
            features = standardise(rows, self.card).astype(np.float32)
        _check(
            features,
            values.shape,
            "overflow",
            "features within the range of float32, once standardised",
        )
        logits = np.empty((len(rows), self.card.architecture.outputs), np.float32)
        for start in range(0, len(rows), self._batch_rows):
            batch = slice(start, start + self._batch_rows)
            logits[batch] = self._batch(torch.from_numpy(features[batch]))
        _check(logits, values.shape[:-1], "not_finite", "finite logits")
        return logits.reshape(*values.shape[:-1], logits.shape[1])

    @torch.inference_mode()
    def _batch(self, features: Tensor) -> NDArray[Any]:
        rows, units = features.shape
        missing = (0, -units % BLOCK_UNITS, 0, -rows % BLOCK_ROWS)
        signal = pad(features, missing).to(self.device)  # (blocks, padded features)
        for position, (weight, bias) in enumerate(self._layers):
            if position:
                signal = torch.sigmoid(signal)
            signal = linear(signal, weight, bias)  # (blocks, padded units)
        outputs = self.card.architecture.outputs
        logits: NDArray[Any] = signal[:rows, :outputs].cpu().numpy()
        return logits

    def golden_fault(self) -> str | None:
        """Compute the card's golden rows on the device and compare.

        Returns:
            None where all of `|got - want| <= 1e-4 · max(1, |want|)` or there are no
            such rows, else what was found.
        """
        if self.card.golden is None:
            return None
        want = np.asarray(self.card.golden.logits)
        try:
            got = self.logits(np.asarray(self.card.golden.inputs, dtype=np.float64))
        except RowError as error:
            return f"golden check failed: {error.detail}"
        worst = float(np.max(np.abs(got - want) / np.maximum(1.0, np.abs(want))))
        if worst <= GOLDEN_TOLERANCE:
            return None
        return (
            f"golden check failed: logits are off by {worst:.1e}, "
            f"the tolerance is {GOLDEN_TOLERANCE:.0e}"
        )


def _padded(layer: nn.Linear, device: torch.device) -> tuple[Tensor, Tensor]:
    units, inputs = layer.weight.shape
    missing = (-inputs % BLOCK_UNITS, -units % BLOCK_UNITS)
    weight = pad(layer.weight.detach(), (0, missing[0], 0, missing[1]))
    bias = pad(layer.bias.detach(), (0, missing[1]))
    return weight.to(device), bias.to(device)


def _blocks(size: int, block: int) -> int:
    """Round up to whole blocks."""
    return size + -size % block


def _check(
    values: Float32Array, shape: Sequence[int], code: Code, expected: str
) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        index = int(np.argmin(finite))
        place = index if code == "overflow" else index // values.shape[1]
        raise RowError(
            code,
            [int(i) for i in np.unravel_index(place, shape)] if shape else [],
            expected,
            "a value that is not finite",
        )
