"""All kinds that were seen in public repositories."""

import warnings
from pathlib import Path

import torch

from tests.models.kinds.formats import FORMATS, MODULES_AND_ARCHIVES, NO_CHECKPOINTS
from tests.models.kinds.kind import File, Kind, write
from tests.models.kinds.named_layers import (
    FUNCTIONS_AND_DTYPES,
    LAYERS,
    ONE_LAYER_AND_NORMS,
)
from tests.models.kinds.training import PREFIXES, TRAINING

KINDS: dict[str, Kind] = {
    **LAYERS,
    **ONE_LAYER_AND_NORMS,
    **FUNCTIONS_AND_DTYPES,
    **PREFIXES,
    **TRAINING,
    **MODULES_AND_ARCHIVES,
    **FORMATS,
    **NO_CHECKPOINTS,
}


def write_all(kinds: dict[str, Kind], folder: Path) -> dict[str, File]:
    """Write one file of each kind."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # Scripts and exports are made with what PyTorch calls outdated.
        warnings.simplefilter("ignore")
        torch.manual_seed(7)
        return {name: write(name, kind, folder) for name, kind in kinds.items()}
