"""Checkpoints: what is read, what is written, what is refused.

A checkpoint of ours is a `.safetensors` file whose header has an entry
`sigmoid_serve`, the JSON of a `ModelCard`; the weights stand under the names of the
network's `state_dict`. A plain `state_dict` in `.pt` or `.pth`, and a `.safetensors`
without our entry, are read too. Nothing pickled is ever executed.
"""

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

from models.architecture import ArchitectureError, infer_architecture
from models.card import FORMAT, ModelCard, assumed_card
from models.messages import one_line

HEADER_ENTRY = "sigmoid_serve"
SUFFIXES = (".safetensors", ".pt", ".pth")

_FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class CheckpointError(Exception):
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


def read_bytes(path: Path) -> bytes:
    """Read all of a file.

    Raises:
        CheckpointError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise CheckpointError(path, reason, "check the path") from None


def load_checkpoint(path: Path, content: bytes | None = None) -> Checkpoint:
    """Read a checkpoint; the inverse of `save_checkpoint`, and more generous.

    Args:
        path: A `.safetensors`, `.pt` or `.pth` file.
        content: Of the file, where it was read before.

    Raises:
        CheckpointError: The file cannot be read, is not a checkpoint, holds anything
            but tensors, does not fit a sigmoid network, has weights that are not
            finite, or has a card that is unknown or contradicts them.
    """
    if content is None:
        content = read_bytes(path)
    if not content:
        raise CheckpointError(path, "the file is empty", "save the checkpoint again")
    if path.suffix not in SUFFIXES:
        raise CheckpointError(
            path, f"a checkpoint ends in {', '.join(SUFFIXES)}", "rename or convert it"
        )
    if path.suffix == ".safetensors":
        tensors, header = _read_safetensors(path, content)
    else:
        tensors, header = _read_state_dict(path, content), None
    weights = _checked_weights(path, tensors)
    card = _card(path, weights, header)
    network = card.architecture.build()
    network.load_state_dict(weights)
    network.eval().requires_grad_(requires_grad=False)
    return Checkpoint(network, card, hashlib.sha256(content).hexdigest())


def _read_safetensors(
    path: Path, content: bytes
) -> tuple[dict[str, Tensor], str | None]:
    try:
        tensors = safetensors.torch.load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(
            path,
            f"not a whole safetensors file ({_one_line(error)})",
            "copy or save it again",
        ) from None
    # Layout: 8 bytes of length, little-endian, then that many bytes of JSON:
    # https://github.com/huggingface/safetensors#format. It was just found well-formed.
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
    return tensors, metadata.get(HEADER_ENTRY)


def _read_state_dict(path: Path, content: bytes) -> dict[str, Tensor]:
    remedy = 'save it with torch.save(model.state_dict(), "model.pt")'
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    # torch.load documents no set of exceptions, and damaged files raise many kinds
    # (AssertionError, struct.error, …); whatever it is, the file is refused.
    except Exception as error:
        message = str(error)
        if "weights_only" in message or "Weights only" in message:
            finding = "it holds pickled objects, which are not loaded as they run code"
        else:
            finding = f"not a whole PyTorch file ({_one_line(error)})"
        raise CheckpointError(path, finding, remedy) from None
    if not isinstance(state, Mapping):
        finding = f"it holds a {type(state).__name__}, not a state_dict"
        raise CheckpointError(path, finding, remedy)
    strangers = [
        str(name)[:64]
        for name, value in state.items()
        if not (isinstance(name, str) and isinstance(value, Tensor))
    ]
    if strangers:
        finding = f"not only tensors by name: {', '.join(strangers[:100])}"
        raise CheckpointError(path, finding, remedy)
    return dict(state)


def _checked_weights(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Bring every tensor to float32, all its values finite and really there."""
    weights = {}
    for name, tensor in tensors.items():
        remedy = "save dense floating-point weights that are finite in float32"
        if (
            tensor.dtype not in _FLOATING
            or tensor.layout != torch.strided
            or tensor.device.type != "cpu"
        ):
            kind = f"{tensor.dtype}, {tensor.layout}, {tensor.device}".replace(
                "torch.", ""
            )
            raise CheckpointError(path, f"{name[:64]} is {kind}", remedy)
        # A strided tensor may claim any shape over a few bytes.
        if tensor.nbytes > tensor.untyped_storage().nbytes():
            finding = f"{name[:64]} claims more elements than the file holds"
            raise CheckpointError(path, finding, remedy)
        weights[name] = tensor.to(torch.float32).contiguous()
        if not bool(torch.isfinite(weights[name]).all()):
            finding = f"{name[:64]} has NaN or infinite values"
            raise CheckpointError(path, finding, remedy)
    return weights


def _card(path: Path, weights: Mapping[str, Tensor], header: str | None) -> ModelCard:
    """Read the card, or assume one, and hold it against the weights."""
    try:
        found = infer_architecture({name: w.shape for name, w in weights.items()})
    except ArchitectureError as error:
        remedy = (
            "serve a Classifier, a DeepClassifier or a Sequential(Linear, Sigmoid, …)"
        )
        raise CheckpointError(path, str(error), remedy) from None
    if header is None:
        return assumed_card(found)
    remedy = "write it with save_checkpoint or sigmoid-serve train"
    try:
        document = json.loads(header)
        version = document.get("format") if isinstance(document, dict) else None
    except (ValueError, RecursionError):
        raise CheckpointError(path, "its card is not JSON", remedy) from None
    if version != FORMAT or isinstance(version, bool):
        finding = f"its card has the format {str(version)[:32]}, not {FORMAT}"
        raise CheckpointError(path, finding, "use the release that wrote it")
    try:
        card = ModelCard.model_validate_json(header, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "card"
        finding = f"its card is wrong at {place[:128]}: {first['msg'][:256]}"
        raise CheckpointError(path, finding, remedy) from None
    if card.architecture != found:
        finding = (
            f"its card says {card.architecture.kind} {list(card.architecture.sizes)}, "
            f"its weights are a {found.kind} {list(found.sizes)}"
        )
        raise CheckpointError(path, finding, remedy)
    return card


def _one_line(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:160]}"
