"""Checkpoints: what is read, what is written, what is refused.

A checkpoint of ours is a `.safetensors` file whose header has an entry
`sigmoid_serve`, the JSON of a `ModelCard`; the weights stand under the names of the
network's `state_dict`. A plain `state_dict` in `.pt` or `.pth`, and a `.safetensors`
without our entry, are read too. Nothing pickled is ever executed.
"""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import safetensors.torch
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from sigmoid_models.architecture import (
    Architecture,
    ArchitectureError,
    infer_architecture,
)
from sigmoid_models.card import FORMAT, ModelCard, assumed_card
from sigmoid_models.files.pickle_values import Opaque, Pairs, PickledObjectError
from sigmoid_models.files.regular_file import read_regular
from sigmoid_models.files.safetensors_header import read_header
from sigmoid_models.files.state_dict import read_saved
from sigmoid_models.files.stored import FormatError, Stored, is_finite
from sigmoid_models.messages import UserError, one_line

HEADER_ENTRY = "sigmoid_serve"
SUFFIXES = (".safetensors", ".pt", ".pth")

MAX_BYTES: Final = 2**32
"""Most bytes of a file, where nobody says otherwise."""

_MOST_SHOWN: Final = 100
_MOST_IN_A_CARD: Final = (
    ("numbers", ",", 2**18),
    ("rows", "[", 2**13),
    ("entries", ":", 2**14),
)

# A file may name the same numbers more than once, and in half of float32's bytes.
_WEIGHT_SHARE: Final = 2
_LEAST_WEIGHT_BYTES: Final = 2**25

# Layers of very few units take many times their own memory to compute with.
_FOOTPRINT_SHARE: Final = 8
_LEAST_FOOTPRINT: Final = 2**28


class CheckpointError(UserError):
    """A file that cannot be served: which file, what was found, what to do.

    Attributes:
        finding: What was found; without the path.
        remedy: What to do.
    """

    def __init__(self, path: Path, finding: str, remedy: str) -> None:
        super().__init__(one_line(f"{path}: {finding}; {remedy}"))
        self.finding = finding
        self.remedy = remedy


@dataclass(frozen=True)
class Checkpoint:
    """A network as it was read from a file.

    Attributes:
        network: In float32 on the CPU, whatever dtype the file stores.
        card: Of the file, or assumed where it has none.
        sha256: Of the file's bytes, in hexadecimal.
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
        path: Of a regular file.
        max_bytes: Most bytes that it may have.
        limit: What that is called.

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
    path: Path, content: bytes | None = None, max_bytes: int = MAX_BYTES
) -> Checkpoint:
    """Read a checkpoint; the inverse of `save_checkpoint`, and more generous.

    Nothing is made of a file before it was found to be a network, and the network has
    its own memory: nothing refers to the file, nor to its bytes.

    Args:
        path: A `.safetensors`, `.pt` or `.pth` file.
        content: Of the file, where it was read before.
        max_bytes: See `read_bytes`.

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
        tensors, header = _read_safetensors(path, content)
    else:
        tensors, header = _read_state_dict(path, content), None
    _check_tensors(path, tensors, len(content))
    found = _architecture(path, tensors, len(content))
    card = assumed_card(found) if header is None else _card(path, found, header)
    network = _network(found, _weights(path, tensors, content))
    return Checkpoint(network, card, hashlib.sha256(content).hexdigest())


def _read_safetensors(
    path: Path, content: bytes
) -> tuple[dict[str, Stored], str | None]:
    try:
        tensors, metadata = read_header(content)
    except FormatError as error:
        finding = f"not a whole safetensors file ({error})"
        raise CheckpointError(path, finding, "copy or save it again") from None
    return tensors, metadata.get(HEADER_ENTRY)


def _read_state_dict(path: Path, content: bytes) -> dict[str, Stored]:
    remedy = 'save it with torch.save(model.state_dict(), "model.pt")'
    try:
        state = read_saved(content)
    except PickledObjectError as error:
        what = f"it holds pickled objects ({str(error)[:128]})"
        finding = f"{what}, which are not loaded as they run code"
        raise CheckpointError(path, finding, remedy) from None
    except FormatError as error:
        finding = f"not a whole PyTorch file ({error})"
        raise CheckpointError(path, finding, remedy) from None
    if not isinstance(state, Pairs):
        finding = f"it holds a {_kind(state)}, not a state_dict"
        raise CheckpointError(path, finding, remedy)
    tensors = {
        name: value
        for name, value in state
        if isinstance(name, str) and isinstance(value, Stored)
    }
    if len(tensors) < len(state):
        strangers = _shown(
            name if isinstance(name, str | int | float) else _kind(name)
            for name, value in state
            if not (isinstance(name, str) and isinstance(value, Stored))
        )
        if strangers:
            finding = f"not only tensors by name: {strangers}"
            raise CheckpointError(path, finding, remedy)
    return tensors


def _kind(value: object) -> str:
    if isinstance(value, Opaque):
        return value.kind
    return "Tensor" if isinstance(value, Stored) else type(value).__name__


def _shown(names: Iterable[object]) -> str:
    return ", ".join(str(name)[:64] for name in islice(names, _MOST_SHOWN))


def _check_tensors(path: Path, tensors: Mapping[str, Stored], file_bytes: int) -> None:
    """See that every tensor is one of numbers that the file really has."""
    remedy = "save dense floating-point weights that are finite in float32"
    for name, tensor in tensors.items():
        if not tensor.is_servable:
            raise CheckpointError(path, f"{name[:64]} is {tensor.kind}", remedy)
        if not tensor.is_there:
            finding = f"{name[:64]} claims more elements than the file holds"
            raise CheckpointError(path, finding, remedy)
    needed = 4 * sum(tensor.size for tensor in tensors.values())
    if needed > max(_WEIGHT_SHARE * file_bytes, _LEAST_WEIGHT_BYTES):
        finding = f"its tensors share their numbers, and would take {needed} bytes"
        raise CheckpointError(path, finding, "save each tensor with its own")


def _architecture(
    path: Path, tensors: Mapping[str, Stored], file_bytes: int
) -> Architecture:
    """Find the network, and that it can be computed with what such a file may take."""
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


def _weights(
    path: Path, tensors: Mapping[str, Stored], content: bytes
) -> dict[str, Tensor]:
    """Make every tensor in float32, all its values finite."""
    weights = {}
    for name, tensor in tensors.items():
        weights[name] = tensor.float32(content)
        if not is_finite(weights[name]):
            remedy = "save dense floating-point weights that are finite in float32"
            finding = f"{name[:64]} has NaN or infinite values"
            raise CheckpointError(path, finding, remedy)
    return weights


def _network(found: Architecture, weights: Mapping[str, Tensor]) -> nn.Module:
    """Make the network of weights, which become its own."""
    with torch.device("meta"):
        network = found.build()
    # load_state_dict looks through all weights once for each layer.
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Linear):
            for part in ("weight", "bias"):
                weight = nn.Parameter(weights[f"{name}.{part}"], requires_grad=False)
                setattr(layer, part, weight)
    return network.eval()


def _card(path: Path, found: Architecture, header: str) -> ModelCard:
    """Read the card, and hold it against the weights."""
    remedy = "write it with save_checkpoint or sigmoid-serve train"
    # Each of these takes many times the memory of its text.
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
