"""Checkpoints: a network and its card, written to a file and read back.

A checkpoint of ours is a `.safetensors` file whose header has an entry
`sigmoid_serve`, the JSON of a `ModelCard`; the weights stand under the names of the
network's `state_dict`. Other files of weights are read too, by
`sigmoid_models.intake`: what they do not say, their user must name. Nothing pickled is
ever executed.
"""

import errno
import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import safetensors.torch
import torch
from torch import nn

from sigmoid_models.bare_card import (
    bare_card,
    notes,
    placed,
    questions,
    require_answers,
)
from sigmoid_models.card import ModelCard
from sigmoid_models.checkpoint_card import layers_of_card, read_card
from sigmoid_models.checkpoint_tensors import (
    Layer,
    check_footprint,
    check_places,
    check_tensors,
    make_layers,
    mark_last_uses,
)
from sigmoid_models.classifier import linear_layers
from sigmoid_models.files.regular_file import FileBytes, last_use, read_pages
from sigmoid_models.intake.content import read_content
from sigmoid_models.intake.evidence import find_activation
from sigmoid_models.intake.named import NOTHING, Named
from sigmoid_models.intake.network import Network, find_network
from sigmoid_models.intake.refusal import RefusedError
from sigmoid_models.intake.weights import find_weights
from sigmoid_models.messages import CheckpointError
from sigmoid_models.output.replacing import replacing

__all__ = [
    "HEADER_ENTRY",
    "MAX_BYTES",
    "Checkpoint",
    "CheckpointError",
    "FileBytes",
    "load_checkpoint",
    "read_bytes",
    "save_checkpoint",
]

HEADER_ENTRY = "sigmoid_serve"

MAX_BYTES: Final = 2**32
"""The most bytes of a file, by default."""


@dataclass(frozen=True)
class Checkpoint:
    """A network as it was read from a file.

    Attributes:
        network: The network, in float32 on the CPU, whatever dtype the file stores.
        card: The card of the file, or one of what is known where it has none.
        sha256: The SHA-256 of the file's bytes, in hexadecimal.
        notes: What was found and taken in a file that has no card; a sentence each.
    """

    network: nn.Module
    card: ModelCard
    sha256: str
    notes: tuple[str, ...] = ()


def save_checkpoint(path: Path, network: nn.Module, card: ModelCard) -> None:
    """Write a checkpoint, all of it or nothing.

    An old file survives whatever happens while the new one is written.

    Args:
        path: Ends in `.safetensors`; folders are made as needed.
        network: As the card's architecture builds it.
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
    with replacing(path) as file:
        file.write(content)


def read_bytes(
    path: Path, max_bytes: int = MAX_BYTES, limit: str = "the limit"
) -> FileBytes:
    """Read all of a file.

    Args:
        path: A regular file.
        max_bytes: The most bytes that it may have.
        limit: What to raise for a larger file, for the error's remedy.

    Raises:
        CheckpointError: It cannot be read, is no regular file or is too large.
        MemoryError: There is not as much memory.
    """
    try:
        return read_pages(path, max_bytes)
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        is_large = error.errno == errno.EFBIG
        remedy = f"raise {limit}" if is_large else "check the path"
        raise CheckpointError(path, reason, remedy) from None


def load_checkpoint(
    path: Path,
    content: FileBytes | None = None,
    max_bytes: int = MAX_BYTES,
    named: Named = NOTHING,
    *,
    sha256: str | None = None,
    is_last_use: bool = False,
) -> Checkpoint:
    """Read a checkpoint: what `save_checkpoint` writes, and other files of weights.

    No tensor is made before the file was found to be a network. The network has its own
    memory: it refers neither to the file nor to its bytes.

    Args:
        path: Of the file; its first bytes decide what it is, not its suffix.
        content: The file's bytes, if they were read before.
        max_bytes: See `read_bytes`.
        named: What its user says of a file that has no card; a card's word wins.
        sha256: Of the content, if it was computed before.
        is_last_use: Whether nobody needs the content any more: its memory is given back
            while the network is made, and from then on it cannot be read.

    Raises:
        CheckpointError: The file cannot be read, holds no network that is served,
            leaves open what must be known of it, has weights that are not finite, or
            a card that is unknown or contradicts them.
    """
    if content is None:
        content, is_last_use = read_bytes(path, max_bytes), True
    with last_use(content) if is_last_use else nullcontext():
        return _loaded(path, content, named, sha256, is_last_use=is_last_use)


def _loaded(
    path: Path,
    content: FileBytes,
    named: Named,
    sha256: str | None,
    *,
    is_last_use: bool,
) -> Checkpoint:
    try:
        saved, header, is_ordered = read_content(content, HEADER_ENTRY)
        if header is not None:
            card = read_card(path, header, named)
            modules, norms = layers_of_card(path, card, saved), []
            said: list[str] = []
        else:
            network = _found(saved, named, is_ordered=is_ordered)
            require_answers(questions(network, named))
            card = bare_card(network, named)
            modules, norms = list(network.layers), placed(network, named)
            said = notes(network, named)
    except RefusedError as error:
        raise CheckpointError(path, error.finding, error.remedy) from None
    tensors = {
        f"{module.name}.{part}": tensor
        for module in (*modules, *(norm.module for norm in norms))
        for part, tensor in module.tensors.items()
    }
    check_tensors(path, tensors, len(content))
    check_footprint(path, card.architecture, len(content))
    if not named.is_proven:
        check_places(path, norms, card.activations, content)
    digest = sha256 or hashlib.sha256(content).hexdigest()
    if is_last_use:
        mark_last_uses(modules, norms)
    layers = make_layers(path, modules, norms, content)
    return Checkpoint(_network(card, layers), card, digest, tuple(said))


class Description(NamedTuple):
    """What a file without a card holds, as far as it tells.

    Attributes:
        layers: Name, inputs and outputs of each, first to last.
        activation: The function behind each hidden layer, where it is known.
        activation_source: How it is known.
        questions: What must be named, and with which option; a sentence each.
        evidence: Modules that are called as functions are.
        folded: Names of what is folded into the layers.
        features: Their names, where the file has them.
        classes: The same.
        notes: What else was found.
    """

    layers: tuple[tuple[str, int, int], ...]
    activation: tuple[str, ...] | None
    activation_source: str | None
    questions: tuple[str, ...]
    evidence: tuple[str, ...]
    folded: tuple[str, ...]
    features: tuple[str, ...] | None
    classes: tuple[str, ...] | None
    notes: tuple[str, ...]


def describe_checkpoint(path: Path, named: Named = NOTHING) -> Description | None:
    """Describe a file without a card, even one that leaves questions open.

    Args:
        path: Of the file.
        named: What its user says of it.

    Returns:
        None where the file has a card.

    Raises:
        CheckpointError: See `load_checkpoint`.
    """
    content = read_bytes(path)
    try:
        saved, header, is_ordered = read_content(content, HEADER_ENTRY)
        if header is not None:
            return None
        return _description(_found(saved, named, is_ordered=is_ordered), named)
    except RefusedError as error:
        raise CheckpointError(path, error.finding, error.remedy) from None


def _found(saved: object, named: Named, *, is_ordered: bool) -> Network:
    weights = find_weights(saved, named.state, is_ordered=is_ordered)
    return find_network(weights, named)


def _description(network: Network, named: Named) -> Description:
    activation = find_activation(network, named)
    return Description(
        layers=tuple((each.name, each.inputs, each.width) for each in network.layers),
        activation=activation.names if activation else None,
        activation_source=activation.source if activation else None,
        questions=tuple(
            f"{each.what}: {each.option}" for each in questions(network, named)
        ),
        evidence=network.called,
        folded=tuple(norm.module.name for norm in network.norms),
        features=network.configuration.features,
        classes=network.configuration.classes,
        notes=tuple(notes(network, named)),
    )


def _network(card: ModelCard, layers: Sequence[Layer]) -> nn.Module:
    """Make the network from its weights, without copying them."""
    with torch.device("meta"):
        network = card.architecture.build(card.activations)
    # load_state_dict looks through all weights once for each layer.
    for module, layer in zip(linear_layers(network), layers, strict=True):
        for part, tensor in layer._asdict().items():
            setattr(module, part, nn.Parameter(tensor, requires_grad=False))
    return network.eval()
