"""What a file of weights holds, and what it leaves open."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from sigmoid_models.checkpoint import CheckpointError, load_checkpoint
from sigmoid_models.intake.named import Named


@dataclass(frozen=True)
class Description:
    """What a file holds.

    Attributes:
        layers: Name, inputs and outputs of each, first to last.
        questions: What must be named, a sentence each.
        state: Which mapping of the file was taken, None where it is the whole file.
        evidence: What the file shows of its function.
        folded: What was folded into the weights, by name.
        activation: The functions between the layers, None where they are unknown.
        activation_source: How they are known.
        features: Their names, where the file has them.
        classes: Their names, where the file has them.
        notes: What else should be said, a sentence each.
    """

    layers: Sequence[tuple[str, int, int]] = ()
    questions: Sequence[str] = ()
    state: str | None = None
    evidence: Sequence[str] = ()
    folded: Sequence[str] | None = None
    activation: Sequence[str] | None = None
    activation_source: str | None = None
    features: Sequence[str] | None = None
    classes: Sequence[str] | None = None
    notes: Sequence[str] = ()


def describe_checkpoint(path: Path, named: Named) -> Description:
    """Describe a file that leaves nothing but its function open.

    Raises:
        CheckpointError: It leaves more open, or cannot be served.
    """
    try:
        load_checkpoint(path, named=named)
    except CheckpointError:
        if named.activation is not None:
            raise
    guess = replace(named, activation=("sigmoid",), is_proven=True)
    sizes = load_checkpoint(path, named=guess).card.architecture.sizes
    layers = [(f"layer {i}", *pair) for i, pair in enumerate(pairwise(sizes), start=1)]
    return Description(layers, ("the function between the layers: --activation NAME",))
