"""The card in the header of a checkpoint: read strictly, compared with the weights."""

import json
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import FORMAT, ModelCard
from sigmoid_models.intake.named import NOTHING, Named
from sigmoid_models.messages import CheckpointError

REMEDY: Final = "write it as docs/checkpoints.md says, or with sigmoid-serve convert"

# What cards have since format 2.
_NEW: Final = {"activation_source", "link", "layers", "folded"}

# Each entry, row or number takes many times the memory of its text.
_MOST_IN_A_CARD: Final = (
    ("numbers", ",", 2**18),
    ("rows", "[", 2**13),
    ("entries", ":", 2**14),
)


def read_card(
    path: Path, header: str, found: Architecture, named: Named = NOTHING
) -> ModelCard:
    """Read a card strictly, and compare it with the network that the weights make.

    Args:
        path: The file, for errors.
        header: The entry of the file's header.
        found: The architecture that the weights have.
        named: What the user says; it counts only where a card of format 1 had assumed
            the activation.

    Raises:
        CheckpointError: The card is too large, no JSON, of another format, wrong in
            some field, or of another architecture.
    """
    for what, sign, most in _MOST_IN_A_CARD:
        if header.count(sign) > most:
            finding = f"its card has more than {most} {what}"
            raise CheckpointError(path, finding, "keep fewer golden rows and names")
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
    if card.architecture != found:
        finding = (
            f"its card says {card.architecture.shown}, its weights are a {found.shown}"
        )
        raise CheckpointError(path, finding, REMEDY)
    return card


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
