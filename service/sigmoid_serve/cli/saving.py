"""Where commands write a checkpoint, and what becomes of it if they cannot."""

from pathlib import Path
from typing import TYPE_CHECKING

from sigmoid_models.messages import UserError

if TYPE_CHECKING:
    from torch import nn

    from sigmoid_models.card import ModelCard


def check_name(path: Path) -> None:
    """Check the name of a checkpoint before the work for it is done.

    Raises:
        UserError: It ends otherwise than in `.safetensors`.
    """
    if path.suffix != ".safetensors":
        raise UserError(f"{path}: the checkpoint must end in .safetensors")


def save(path: Path, network: "nn.Module", card: "ModelCard") -> None:
    """Write a checkpoint, all of it or nothing.

    Raises:
        UserError: It cannot be written.
    """
    from sigmoid_models.checkpoint import save_checkpoint

    try:
        save_checkpoint(path, network, card)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror or error}; what was there "
            "before is unchanged; mend that, or choose another place with --output"
        ) from None
