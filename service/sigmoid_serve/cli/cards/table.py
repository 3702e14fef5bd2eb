"""Tables of what a checkpoint says, and of what a file of weights leaves open."""

from collections.abc import Mapping, Sequence
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Final

from rich.table import Table

from sigmoid_models.card import ModelCard
from sigmoid_models.checkpoint import Checkpoint, Description

_LAYERS_SHOWN: Final = 12


def card_table(
    path: Path, card: ModelCard, more: Mapping[str, str] | None = None
) -> Table:
    """Show a card.

    Args:
        path: The file that it is of.
        card: The card.
        more: Further rows, or others in the place of some.
    """
    architecture = card.architecture
    rows = {
        "architecture": f"{architecture.kind} {'-'.join(map(str, architecture.sizes))}",
        "layers": _layers(layers_of(card), card.activations),
        "activation": f"{_functions(card.activations)} ({card.activation_source})",
        "folded": ", ".join(card.folded or ()) or "nothing",
        "parameters": f"{architecture.parameters:,}",
        "task": card.task,
        "features": _names(card.features, architecture.features),
        "classes": _classes(card),
        "scaler": "standardises raw features"
        if card.scaler
        else "none: features must come as the network was trained on them",
        "link": f"{card.link} of each logit"
        if card.link == "sigmoid"
        else "softmax over the logits",
        "temperature": str(card.temperature),
        "golden rows": golden_rows(card),
        **_thresholds(card),
        **_training(card),
        **(more or {}),
    }
    return _table(path, rows)


def checkpoint_table(path: Path, checkpoint: Checkpoint, fault: str | None) -> Table:
    """Show a checkpoint: its card, and what was found out about the file.

    Args:
        path: The file that it was read from.
        checkpoint: As it was read.
        fault: What is wrong with its golden rows, if so.
    """
    card = checkpoint.card
    more = {"golden rows": fault or golden_rows(card, " come out right")}
    more["SHA-256"] = checkpoint.sha256
    if checkpoint.notes:
        more["notes"] = "\n".join(checkpoint.notes)
    return card_table(path, card, more)


def layers_of(card: ModelCard) -> list[tuple[str, int, int]]:
    """List the name, inputs and outputs of each layer, first to last."""
    widths = pairwise(card.architecture.sizes)
    return [(n, *pair) for n, pair in zip(_layer_names(card), widths, strict=True)]


def golden_rows(card: ModelCard, what: str = "") -> str:
    """Say how many golden rows there are, and what of them."""
    return f"{len(card.golden.inputs)}{what}" if card.golden else "none"


def description_table(path: Path, description: Description) -> Table:
    """Show a file that is not served as it is: what it holds, and what is open."""
    activation = "unknown"
    if description.activation is not None:
        source = description.activation_source
        activation = f"{_functions(description.activation)} ({source})"
    rows = {
        "layers": _layers(description.layers, description.activation or ()),
        "activation": activation,
        "BatchNorm": ", ".join(description.folded) or "none",
        "features": ", ".join(description.features or ()) or "not named",
        "classes": ", ".join(description.classes or ()) or "not named",
        "names of functions": ", ".join(description.evidence) or "none",
        "to be named": "\n".join(description.questions),
    }
    if description.notes:
        rows["notes"] = "\n".join(description.notes)
    return _table(path, rows)


def _table(path: Path, rows: Mapping[str, str]) -> Table:
    table = Table(title=str(path), title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _layers(layers: Sequence[tuple[str, int, int]], activations: Sequence[str]) -> str:
    """Write a line for each layer, of very many only the first and the last."""
    width = max((len(name) for name, _, _ in layers), default=0)
    lines = [
        f"{name:{width}}  {inputs} → {outputs}{f'  {function}' if function else ''}"
        for (name, inputs, outputs), function in zip_longest(layers, activations)
    ]
    if len(lines) > _LAYERS_SHOWN:
        left = len(lines) - _LAYERS_SHOWN
        lines[_LAYERS_SHOWN - 1 : -1] = [f"… {left} more"]
    return "\n".join(lines)


def _layer_names(card: ModelCard) -> Sequence[str]:
    count = len(card.architecture.sizes) - 1
    if card.layers:
        return card.layers
    if card.architecture.kind == "Sequential":
        return [str(2 * position) for position in range(count)]
    return ["fc1", *(f"layers.{position}" for position in range(count - 2)), "fc2"]


def _functions(activations: Sequence[str]) -> str:
    if not activations:
        return "none: one layer"
    return ", ".join(activations if len({*activations}) > 1 else activations[:1])


def _classes(card: ModelCard) -> str:
    shown = _names(card.classes, card.architecture.outputs)
    if card.classes and card.task == "binary":
        return f"{shown}; the output is the probability of {card.classes[1]}"
    return shown


def _thresholds(card: ModelCard) -> dict[str, str]:
    if card.task == "multiclass":
        return {}
    return {"threshold": ", ".join(map(str, card.thresholds or (0.5,)))}


def _training(card: ModelCard) -> dict[str, str]:
    if card.training is None:
        return {}
    training = card.training
    said = f"{training.dataset}, seed {training.seed}, init {training.init}, "
    return {"trained on": f"{said}{training.epochs} epochs"}


def _names(names: tuple[str, ...] | None, count: int) -> str:
    if names is None:
        return f"{count}, not named"
    shown = ", ".join(names[:6])
    return f"{len(names)}: {shown}{', …' if len(names) > 6 else ''}"
