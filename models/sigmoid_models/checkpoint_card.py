"""The card in the header of a checkpoint: read strictly, compared with the weights."""

import json
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from sigmoid_models.architecture import listed_sizes
from sigmoid_models.card import FORMAT, ModelCard
from sigmoid_models.files.pickle_values import Pairs
from sigmoid_models.files.stored import Stored
from sigmoid_models.intake.modules import Module
from sigmoid_models.intake.named import NOTHING, Named
from sigmoid_models.intake.refusal import listed
from sigmoid_models.messages import CheckpointError

REMEDY: Final = "write it as docs/checkpoints.md says, or with sigmoid-serve convert"

# What cards have since format 2.
_NEW: Final = {"activation_source", "link", "layers", "folded", "quantiles"}

# Each entry, row or number takes many times the memory of its text.
_MOST_IN_A_CARD: Final = (
    ("numbers", ",", 2**18),
    ("rows", "[", 2**13),
    ("entries", ":", 2**14),
)


def read_card(path: Path, header: str, named: Named = NOTHING) -> ModelCard:
    """Read a card strictly.

    Args:
        path: The file, for errors.
        header: The entry of the file's header.
        named: What the user says; it counts only where a card of format 1 had assumed
            the activation.

    Raises:
        CheckpointError: The card is too large, no JSON, of another format, or wrong in
            some field.
    """
    for what, sign, most in _MOST_IN_A_CARD:
        if header.count(sign) > most:
            finding = f"its card has more than {most} {what}"
            raise CheckpointError(
                path, finding, "keep fewer golden rows, quantiles and names"
            )
    try:
        document = json.loads(header)
        version = document.get("format") if isinstance(document, dict) else None
    except (ValueError, RecursionError):
        raise CheckpointError(path, "its card is not JSON", REMEDY) from None
    if version not in (1, FORMAT) or isinstance(version, bool):
        is_plain = version is None or isinstance(version, str | int | float)
        shown = str(version)[:32] if is_plain else type(version).__name__
        finding = f"its card has the format {shown}, not 1 or {FORMAT}"
        raise CheckpointError(path, finding, "use the release that wrote it")
    if version == 1:
        header = json.dumps(_of_this_format(path, document, named))
    del document
    try:
        card = ModelCard.model_validate_json(header, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "card"
        finding = f"its card is wrong at {place[:128]}: {first['msg'][:256]}"
        raise CheckpointError(path, finding, REMEDY) from None
    return card


def layers_of_card(path: Path, card: ModelCard, saved: object) -> list[Module]:
    """Find the layers that a card says are in a file.

    Args:
        path: The file, for errors.
        card: Its card.
        saved: Its tensors by name, as pairs.

    Raises:
        CheckpointError: The tensors have other names or shapes.
    """
    assert isinstance(saved, Pairs)
    tensors = {str(name): value for name, value in saved if isinstance(value, Stored)}
    want = card.architecture.shapes
    missing, unexpected = want.keys() - tensors.keys(), tensors.keys() - want.keys()
    errors = [
        f"{what} {listed(sorted(names))}"
        for what, names in (("missing", missing), ("unexpected", unexpected))
        if names
    ]
    errors += [
        f"{name} is {listed_sizes(tensors[name].shape)}, not {listed_sizes(shape)}"
        for name, shape in want.items()
        if name in tensors and tensors[name].shape != shape
    ][:1]
    if errors:
        finding = f"its weights are no {card.architecture.shown}, as its card says"
        raise CheckpointError(path, f"{finding}: {', '.join(errors)}", REMEDY)
    return [
        Module(
            layer,
            "linear",
            {part: tensors[f"{layer}.{part}"] for part in ("weight", "bias")},
        )
        for layer in card.architecture.layers
    ]


def _of_this_format(path: Path, document: dict[str, Any], named: Named) -> object:
    """Turn a card of format 1, where the sigmoid was all there was, into today's."""
    for name in sorted(_NEW & document.keys()):
        finding = f"its card is wrong at {name}: unknown in format 1"
        raise CheckpointError(path, finding, REMEDY)
    activation, source = document.get("activation", "sigmoid"), "card"
    if activation == "sigmoid (assumed)":
        if not named.activation:
            finding = "its card only assumes that its activation is the sigmoid"
            remedy = "name it: --activation NAME, such as sigmoid or relu"
            raise CheckpointError(path, finding, remedy)
        activation, source = list(named.activation), "named by the user"
        if len(activation) == 1:
            activation = activation[0]
    elif activation != "sigmoid":
        finding = "its card is wrong at activation: format 1 has the sigmoid alone"
        raise CheckpointError(path, finding, REMEDY)
    new = {"format": FORMAT, "activation": activation, "activation_source": source}
    return {**document, **new}
