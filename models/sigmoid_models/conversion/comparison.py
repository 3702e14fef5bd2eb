"""Known outputs compared with a network's, under each function of the table."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from torch import nn

from sigmoid_models.activation import NAMES
from sigmoid_models.card import Link, ModelCard
from sigmoid_models.conversion.expected_rows import ExpectedRows, Quantity
from sigmoid_models.dtype import Float64Array
from sigmoid_models.exact_sigmoid import sigmoid64
from sigmoid_models.logits import reference_logits

TOLERANCE: Final = 1e-4
"""Of a probability, and of a logit as a share of it where it is beyond 1."""

_WITH_PARAMETERS: Final = {
    "leaky_relu": ("leaky_relu", *(f"leaky_relu:{x}" for x in (0.1, 0.2, 0.3))),
    "gelu": ("gelu", "gelu:tanh"),
}
FUNCTIONS: Final = tuple(
    each for name in NAMES for each in _WITH_PARAMETERS.get(name, (name,))
)
"""Those that are tried; of the slopes of `leaky_relu` the usual ones."""


class Deviation(NamedTuple):
    """The output that is furthest off.

    Attributes:
        ratio: How far, in tolerances; infinite where the network gives no number.
        row: Index of its row.
        quantity: What it is.
        got: What the network gives.
        want: What is known.
    """

    ratio: float
    row: int
    quantity: Quantity
    got: float
    want: float

    @property
    def is_within(self) -> bool:
        """Whether all outputs agree."""
        return self.ratio <= 1


class Candidate(NamedTuple):
    """A network under some options, written as the command line has them."""

    options: tuple[str, ...]
    network: nn.Module
    card: ModelCard


def deviation(network: nn.Module, card: ModelCard, rows: ExpectedRows) -> Deviation:
    """Compute the rows in float64, and find the output that is furthest off."""
    # Under another function than its own, a network may go beyond any bound.
    with np.errstate(all="ignore"):
        logits = reference_logits(network, card, rows.inputs)
        found = [
            _furthest(_linked(logits, card) if each == "probabilities" else logits, x)
            for each, x in rows.outputs.items()
        ]
    parts = zip(found, rows.outputs, strict=True)
    return max(
        Deviation(ratio, row, quantity, got, want)
        for (ratio, row, got, want), quantity in parts
    )


def fitting(candidates: Iterator[Candidate], rows: ExpectedRows) -> list[Candidate]:
    """List the candidates under which the rows come out, the nearest first."""
    deviations = [
        (deviation(each.network, each.card, rows), each) for each in candidates
    ]
    within = [(d.ratio, each) for d, each in deviations if d.is_within]
    return [each for _, each in sorted(within, key=lambda pair: pair[0])]


def variants(
    networks: Sequence[tuple[tuple[str, ...], nn.Module]],
    card: ModelCard,
    rows: ExpectedRows,
) -> Iterator[Candidate]:
    """Make every candidate: each function for all layers, with each link in question.

    Args:
        networks: Options, and the network that they make of the file.
        card: The card of all of them.
        rows: Logits do not tell one link from another; probabilities do.
    """
    links: tuple[Link, ...] = (card.link,)
    if card.task == "multiclass" and "probabilities" in rows.outputs:
        links = ("sigmoid", "softmax")
    has_functions = len(card.architecture.sizes) > 2
    for options, network in networks:
        for name in FUNCTIONS if has_functions else (card.activation,):
            for link in links:
                sequential = card.architecture.model_copy(update={"kind": "Sequential"})
                changes = {
                    "architecture": sequential,
                    "activation": name,
                    "link": link,
                }
                words = (
                    *((f"--activation {name}",) if has_functions else ()),
                    *options,
                    *((f"--link {link}",) if link != card.link else ()),
                )
                yield Candidate(words, network, card.model_copy(update=changes))


def _linked(logits: Float64Array, card: ModelCard) -> Float64Array:
    scaled = logits / card.temperature
    if card.link == "sigmoid":
        return sigmoid64(scaled)
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    result: Float64Array = powers / powers.sum(axis=1, keepdims=True)
    return result


def _furthest(got: Float64Array, want: Float64Array) -> tuple[float, int, float, float]:
    # Of a probability, which is at most 1, the share is the difference.
    share = np.abs(got - want) / np.maximum(1, np.abs(want)) / TOLERANCE
    share = np.where(np.isfinite(share), share, np.inf)
    row, output = divmod(int(np.argmax(share)), share.shape[1])
    return (
        float(share[row, output]),
        row,
        float(got[row, output]),
        float(want[row, output]),
    )
