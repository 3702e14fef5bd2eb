"""What must hold of a file, whatever its kind."""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from sigmoid_models.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from sigmoid_models.dtype import Float64Array
from sigmoid_models.intake.named import Named
from sigmoid_models.logits import reference_logits
from sigmoid_serve.engine.engine import Engine
from tests.models.kinds.kind import File

# Relative to 1 or the logit; a network in half precision rounds in every layer.
TOLERANCE = 1e-5
HALF_TOLERANCE = 5e-3

CPU = torch.device("cpu")


def load(file: File, named: Mapping[str, Any]) -> Checkpoint:
    """Load a file of which something was named."""
    return load_checkpoint(file.path, named=Named(**named))


def message(file: File, named: Mapping[str, Any]) -> str:
    """Return why a file is refused, without its path."""
    with pytest.raises(CheckpointError) as caught:
        load(file, named)
    return f"{caught.value.finding}; {caught.value.remedy}"


def proper_subsets(named: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """List all that is less than what must be named."""
    for count in range(len(named)):
        for keys in combinations(named, count):
            yield {key: named[key] for key in keys}


def all_logits(checkpoint: Checkpoint, rows: Float64Array) -> dict[str, Float64Array]:
    """Compute logits by all ways but the engine's."""
    network = checkpoint.network
    with torch.no_grad():
        direct = network(torch.from_numpy(rows).float()).double().numpy()
    return {
        "reference": reference_logits(network, checkpoint.card, rows),
        "network": direct,
    }


def engine_logits(checkpoint: Checkpoint, rows: Float64Array) -> Float64Array:
    """Compute logits as the server does."""
    return Engine(checkpoint, CPU, 64).logits(rows).astype(np.float64)


def is_near(logits: Float64Array, file: File, tolerance: float = TOLERANCE) -> bool:
    """Tell whether logits are those of the file's own network."""
    assert file.logits is not None
    assert logits.shape == file.logits.shape
    bound = tolerance * np.maximum(1, np.abs(file.logits))
    return bool(np.all(np.abs(logits - file.logits) <= bound))
