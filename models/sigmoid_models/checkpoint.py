"""Checkpoints: a network and its card, written to a file and read back.

A checkpoint of ours is a `.safetensors` file whose header has an entry
`sigmoid_serve`, the JSON of a `ModelCard`; the weights stand under the names of the
network's `state_dict`. A plain `state_dict` in `.pt` or `.pth`, and a `.safetensors`
without our entry, are read too. Nothing pickled is ever executed.
"""

import errno
import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import safetensors.torch
import torch
from torch import Tensor, nn

from sigmoid_models.architecture import (
    Architecture,
    ArchitectureError,
    infer_architecture,
)
from sigmoid_models.card import ModelCard, usual_task
from sigmoid_models.checkpoint_card import read_card
from sigmoid_models.checkpoint_tensors import (
    check_tensors,
    make_weights,
    read_safetensors,
    read_state_dict,
)
from sigmoid_models.classifier import linear_layers
from sigmoid_models.files.regular_file import read_regular
from sigmoid_models.files.stored import Stored
from sigmoid_models.intake.named import NOTHING, Named
from sigmoid_models.messages import CheckpointError

__all__ = [
    "HEADER_ENTRY",
    "MAX_BYTES",
    "SUFFIXES",
    "Checkpoint",
    "CheckpointError",
    "load_checkpoint",
    "read_bytes",
    "save_checkpoint",
]

HEADER_ENTRY = "sigmoid_serve"
SUFFIXES = (".safetensors", ".pt", ".pth")

MAX_BYTES: Final = 2**32
"""The most bytes of a file, by default."""

# The memory to compute with, as a multiple of the file: layers of very few units take
# many times their own size.
_FOOTPRINT_SHARE: Final = 8
_LEAST_FOOTPRINT: Final = 2**28


@dataclass(frozen=True)
class Checkpoint:
    """A network as it was read from a file.

    Attributes:
        network: The network, in float32 on the CPU, whatever dtype the file stores.
        card: The card of the file, or an assumed one where it has none.
        sha256: The SHA-256 of the file's bytes, in hexadecimal.
    """

    network: nn.Module
    card: ModelCard
    sha256: str


def save_checkpoint(path: Path, network: nn.Module, card: ModelCard) -> None:
    """Write a checkpoint, all of it or nothing.

    The bytes go to a temporary file in the same folder, which then replaces `path`, so
    that an old file survives whatever happens while the new one is written.

    Args:
        path: Ends in `.safetensors`; folders are made as needed.
        network: `Classifier`, `DeepClassifier` or a `Sequential` of the same kind.
        card: What the server needs to know beside the weights.

    Raises:
        OSError: The file could not be written.
    """
    tensors = {
        name: tensor.detach().to("cpu").contiguous()
        for name, tensor in network.state_dict().items()
    }
    header = card.model_dump_json(exclude_none=True)
    content = safetensors.torch.save(tensors, metadata={HEADER_ENTRY: header})
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            # The temporary file is private to its owner; a checkpoint is as any file.
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def read_bytes(
    path: Path, max_bytes: int = MAX_BYTES, limit: str = "the limit"
) -> bytes:
    """Read all of a file.

    Args:
        path: A regular file.
        max_bytes: The most bytes that it may have.
        limit: What to raise for a larger file, for the error's remedy.

    Raises:
        CheckpointError: It cannot be read, is no regular file or is too large.
    """
    try:
        return read_regular(path, max_bytes)
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        is_large = error.errno == errno.EFBIG
        remedy = f"raise {limit}" if is_large else "check the path"
        raise CheckpointError(path, reason, remedy) from None


def load_checkpoint(
    path: Path,
    content: bytes | None = None,
    max_bytes: int = MAX_BYTES,
    named: Named = NOTHING,
) -> Checkpoint:
    """Read a checkpoint: what `save_checkpoint` writes, and other files of weights.

    No tensor is made before the file was found to be a network. The network has its own
    memory: it refers neither to the file nor to its bytes.

    Args:
        path: A `.safetensors`, `.pt` or `.pth` file.
        content: The file's bytes, if they were read before.
        max_bytes: See `read_bytes`.
        named: What the user says of a file that has no card; a card's word wins.

    Raises:
        CheckpointError: The file cannot be read, is not a checkpoint, holds anything
            but tensors, does not fit a sigmoid network, has weights that are not
            finite, or has a card that is unknown or contradicts them.
    """
    if path.suffix not in SUFFIXES:
        raise CheckpointError(
            path, f"a checkpoint ends in {', '.join(SUFFIXES)}", "rename or convert it"
        )
    if content is None:
        content = read_bytes(path, max_bytes)
    if not content:
        raise CheckpointError(path, "the file is empty", "save the checkpoint again")
    if path.suffix == ".safetensors":
        tensors, metadata = read_safetensors(path, content)
        header = metadata.get(HEADER_ENTRY)
    else:
        tensors, header = read_state_dict(path, content), None
    check_tensors(path, tensors, len(content))
    found = _architecture(path, tensors, len(content))
    if header is None:
        card = _bare_card(path, found, named)
    else:
        card = read_card(path, header, found, named)
    network = _network(card, make_weights(path, tensors, content))
    return Checkpoint(network, card, hashlib.sha256(content).hexdigest())


def _architecture(
    path: Path, tensors: Mapping[str, Stored], file_bytes: int
) -> Architecture:
    """Infer the network, and check the memory that it takes to compute with."""
    try:
        found = infer_architecture({name: t.shape for name, t in tensors.items()})
    except ArchitectureError as error:
        remedy = (
            "serve a Classifier, a DeepClassifier or a Sequential(Linear, Sigmoid, …)"
        )
        raise CheckpointError(path, str(error), remedy) from None
    most = max(_FOOTPRINT_SHARE * file_bytes, _LEAST_FOOTPRINT)
    if found.footprint > most:
        finding = f"it takes {found.footprint} bytes to compute with, more than {most}"
        remedy = "serve layers that are not so much wider than those beside them"
        raise CheckpointError(path, finding, remedy)
    return found


def _bare_card(path: Path, found: Architecture, named: Named) -> ModelCard:
    if named.activation is None:
        raise CheckpointError(path, "activation unknown", "name it: --activation NAME")
    kind = found.kind if {*named.activation} == {"sigmoid"} else "Sequential"
    return ModelCard(
        architecture=found.model_copy(update={"kind": kind}),
        activation=named.activation[0],
        activation_source="named by the user",
        task=named.task or usual_task(found.outputs),
    )


def _network(card: ModelCard, weights: Mapping[str, Tensor]) -> nn.Module:
    """Make the network from its weights, without copying them."""
    with torch.device("meta"):
        network = card.architecture.build(card.activations)
    # load_state_dict looks through all weights once for each layer.
    names = list(dict.fromkeys(name.rpartition(".")[0] for name in weights))
    for name, layer in zip(names, linear_layers(network), strict=True):
        for part in ("weight", "bias"):
            weight = nn.Parameter(weights[f"{name}.{part}"], requires_grad=False)
            setattr(layer, part, weight)
    return network.eval()
