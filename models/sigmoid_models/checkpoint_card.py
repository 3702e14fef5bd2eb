"""The card in the header of a checkpoint: read strictly, compared with the weights."""

import json
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import FORMAT, ModelCard
from sigmoid_models.checkpoint_error import CheckpointError

# Each entry, row or number takes many times the memory of its text.
_MOST_IN_A_CARD: Final = (
    ("numbers", ",", 2**18),
    ("rows", "[", 2**13),
    ("entries", ":", 2**14),
)


def read_card(path: Path, header: str, found: Architecture) -> ModelCard:
    """Read a card strictly, and compare it with the network that the weights make.

    Args:
        path: The file, for errors.
        header: The entry of the file's header.
        found: The architecture that the weights have.

    Raises:
        CheckpointError: The card is too large, no JSON, of another format, wrong in
            some field, or of another architecture.
    """
    remedy = "write it with save_checkpoint or sigmoid-serve train"
    for what, sign, most in _MOST_IN_A_CARD:
        if header.count(sign) > most:
            finding = f"its card has more than {most} {what}"
            raise CheckpointError(path, finding, "keep fewer golden rows and names")
    try:
        document = json.loads(header)
        version = document.get("format") if isinstance(document, dict) else None
    except (ValueError, RecursionError):
        raise CheckpointError(path, "its card is not JSON", remedy) from None
    if version != FORMAT or isinstance(version, bool):
        is_plain = version is None or isinstance(version, str | int | float)
        shown = str(version)[:32] if is_plain else type(version).__name__
        finding = f"its card has the format {shown}, not {FORMAT}"
        raise CheckpointError(path, finding, "use the release that wrote it")
    del document
    try:
        card = ModelCard.model_validate_json(header, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "card"
        finding = f"its card is wrong at {place[:128]}: {first['msg'][:256]}"
        raise CheckpointError(path, finding, remedy) from None
    if card.architecture != found:
        finding = (
            f"its card says {card.architecture.shown}, its weights are a {found.shown}"
        )
        raise CheckpointError(path, finding, remedy)
    return card
