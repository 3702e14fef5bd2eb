"""What a checkpoint says, and what a file of weights leaves open, for programs."""

from collections.abc import Sequence
from hashlib import file_digest
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sigmoid_models.checkpoint import Checkpoint, Description
from sigmoid_serve.cli.cards.table import layers_of


def card_document(
    path: Path, checkpoint: Checkpoint, worst: float | None, fault: str | None
) -> dict[str, Any]:
    """Describe a checkpoint that is served, if its golden rows come out right.

    Args:
        path: The file that it was read from.
        checkpoint: As it was read.
        worst: How far golden rows are off at most, where there are such rows.
        fault: What is wrong with them, if so.
    """
    card = checkpoint.card
    golden = {
        "count": len(card.golden.inputs) if card.golden else 0,
        "largest_error": worst,
        "fault": fault,
    }
    return {
        "path": str(path),
        "sha256": checkpoint.sha256,
        "served": fault is None,
        "layers": _layers(layers_of(card), card.activations),
        "activation_source": card.activation_source,
        "parameters": card.architecture.parameters,
        "features": card.features,
        "classes": card.classes,
        "golden_rows": golden,
        "notes": checkpoint.notes,
        "questions": [],
        "card": card.model_dump(mode="json", exclude_none=True),
    }


def description_document(path: Path, description: Description) -> dict[str, Any]:
    """Describe a file that is not served as it is: what it holds, and what is open.

    The members are those of `card_document`; there is no card, and there are questions.
    """
    with path.open("rb") as file:
        sha256 = file_digest(file, "sha256").hexdigest()
    layers = description.layers
    return {
        "path": str(path),
        "sha256": sha256,
        "served": False,
        "layers": _layers(layers, description.activation or ()),
        "activation_source": description.activation_source,
        "parameters": sum((inputs + 1) * units for _, inputs, units in layers),
        "features": description.features,
        "classes": description.classes,
        "golden_rows": None,
        "notes": description.notes,
        "questions": description.questions,
        "card": None,
        "folded": description.folded,
        "functions": description.evidence,
    }


def _layers(
    layers: Sequence[tuple[str, int, int]], activations: Sequence[str]
) -> list[dict[str, Any]]:
    return [
        {"name": name, "inputs": inputs, "outputs": outputs, "activation": function}
        for (name, inputs, outputs), function in zip_longest(layers, activations)
    ]
