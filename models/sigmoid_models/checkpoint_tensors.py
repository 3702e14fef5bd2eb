"""The tensors of a checkpoint: checked, and made in float32.

Nothing is made of a tensor before all of them were found to be numbers that the file
really holds. They are made piece by piece, so that a large layer takes little memory
beside itself and the file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sigmoid_models.architecture import Architecture
from sigmoid_models.files.regular_file import FileBytes
from sigmoid_models.files.stored import Stored, is_finite
from sigmoid_models.intake.batchnorm import Float64Array, Norm, factor_and_shift
from sigmoid_models.intake.modules import Module
from sigmoid_models.messages import CheckpointError

# The bytes of the weights in float32, as a multiple of the file: it may store each in
# 16 bits. A small file may also name the same numbers more than once.
_WEIGHT_SHARE: Final = 2
_LEAST_WEIGHT_BYTES: Final = 2**25

# The memory to compute with, as a multiple of the file: layers of very few units take
# many times their own size.
_FOOTPRINT_SHARE: Final = 8
_LEAST_FOOTPRINT: Final = 2**28

_NEVER_NEGATIVE: Final = {"relu", "sigmoid", "softplus"}

_REMEDY: Final = "save dense floating-point weights that are finite in float32"


class Layer(NamedTuple):
    """The numbers of a linear layer, in float32.

    Attributes:
        weight: `(outputs, inputs)`.
        bias: `(outputs,)`.
    """

    weight: Tensor
    bias: Tensor


def check_tensors(path: Path, tensors: Mapping[str, Stored], file_bytes: int) -> None:
    """Check that every tensor is of floating-point numbers that the file really holds.

    Raises:
        CheckpointError: One is not, or they would take much more memory than the file.
    """
    for name, tensor in tensors.items():
        if not tensor.is_servable:
            raise CheckpointError(path, f"{name[:64]} is {tensor.kind}", _REMEDY)
        if not tensor.is_there:
            finding = f"{name[:64]} claims more elements than the file holds"
            raise CheckpointError(path, finding, _REMEDY)
    needed = 4 * sum(tensor.size for tensor in tensors.values())
    if needed > max(_WEIGHT_SHARE * file_bytes, _LEAST_WEIGHT_BYTES):
        finding = f"its tensors share their numbers, and would take {needed} bytes"
        raise CheckpointError(path, finding, "save each tensor with its own")


def check_footprint(path: Path, architecture: Architecture, file_bytes: int) -> None:
    """Check the memory that a network takes to compute with.

    Raises:
        CheckpointError: It is much more than the file.
    """
    most = max(_FOOTPRINT_SHARE * file_bytes, _LEAST_FOOTPRINT)
    if architecture.footprint > most:
        needed = architecture.footprint
        finding = f"it takes {needed} bytes to compute with, more than {most}"
        remedy = "serve layers that are not so much wider than those beside them"
        raise CheckpointError(path, finding, remedy)


def check_places(
    path: Path, norms: Sequence[Norm], activations: Sequence[str], content: FileBytes
) -> None:
    """Check that what a BatchNorm saw can come from the function before it.

    Args:
        path: Of the file, for errors.
        norms: The BatchNorms.
        activations: The function behind each hidden layer.
        content: The bytes of the file.

    Raises:
        CheckpointError: Means of what is never negative are.
    """
    for norm in norms:
        if norm.place != "after" or norm.layer < 0:
            continue
        function = activations[norm.layer]
        mean = norm.module.tensors["running_mean"].float64(content)
        if function in _NEVER_NEGATIVE and (mean < 0).any():
            finding = (
                f"{norm.module.name[:64]} is a BatchNorm of negative means, which do "
                f"not come from {function} before it"
            )
            remedy = (
                "name where it stands, --batchnorm before, or prove it by rows with "
                "known outputs: sigmoid-serve convert --expect ROWS.csv"
            )
            raise CheckpointError(path, finding, remedy)


def mark_last_uses(modules: Sequence[Module], norms: Sequence[Norm]) -> None:
    """Mark the tensors whose bytes are those of no other that is used, even in part.

    `make_layers` reads each of them once, and gives its bytes back.

    Args:
        modules: The linear layers; one may come again.
        norms: The BatchNorms.
    """
    all_modules = [*modules, *(norm.module for norm in norms)]
    placed = [
        (tensor.place_in_file, tensor)
        for module in all_modules
        for tensor in module.tensors.values()
    ]
    placed.sort(key=lambda each: each[0].start)
    longest, before = placed[0]
    before.is_last_use = True
    for place, tensor in placed[1:]:
        tensor.is_last_use = place.start >= longest.stop
        if not tensor.is_last_use:
            before.is_last_use = False
        if place.stop > longest.stop:
            longest, before = place, tensor


def make_layers(
    path: Path, modules: Sequence[Module], norms: Sequence[Norm], content: FileBytes
) -> list[Layer]:
    """Make every layer, in float32; what stands beside it is folded into it in float64.

    Args:
        path: Of the file, for errors.
        modules: The linear layers, first to last; a missing bias is zeros.
        norms: The BatchNorms, the place of each known.
        content: The bytes of the file.

    Raises:
        CheckpointError: A value is NaN or infinite in float32.
    """
    by_layer = {norm.layer: norm for norm in norms}
    layers = []
    for index, module in enumerate(modules):
        before, behind = by_layer.get(index - 1), by_layer.get(index)
        incoming = before if before and before.place == "after" else None
        outgoing = behind if behind and behind.place == "before" else None
        if incoming or outgoing:
            layer = _folded(module, incoming, outgoing, content)
        else:
            layer = _plain(module, content)
        for part, made in layer._asdict().items():
            if not is_finite(made):
                finding = f"{module.name[:64]}.{part} has NaN or infinite values"
                raise CheckpointError(path, finding, _REMEDY)
        layers.append(layer)
    return layers


def _plain(module: Module, content: FileBytes) -> Layer:
    bias = module.tensors.get("bias")
    return Layer(
        module.tensors["weight"].float32(content),
        torch.zeros(module.width) if bias is None else bias.float32(content),
    )


def _folded(
    module: Module, incoming: Norm | None, outgoing: Norm | None, content: FileBytes
) -> Layer:
    """Fold the BatchNorms behind the function before a layer, and right behind it."""
    stored = module.tensors.get("bias")
    bias = np.zeros(module.width) if stored is None else stored.float64(content)
    # PyTorch's memory: NumPy's is in huge pages, each of which is whole at once.
    weight = torch.empty((module.width, module.inputs), dtype=torch.float32)
    result = weight.numpy()
    # A running variance below 0 makes NaN, which is found later.
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        before = _of_norm(incoming, content) if incoming else None
        behind = _of_norm(outgoing, content) if outgoing else None
        for (rows, columns), piece in module.tensors["weight"].pieces(content):
            numbers = piece.astype(np.float64)
            if before:
                factor, shift = before
                bias[rows] += numbers @ shift[columns]
                numbers *= factor[columns]
            if behind:
                numbers *= behind[0][rows, None]
            result[rows, columns] = numbers
        if behind:
            factor, shift = behind
            bias = bias * factor + shift
        return Layer(weight, torch.from_numpy(bias).float())


def _of_norm(norm: Norm, content: FileBytes) -> tuple[Float64Array, Float64Array]:
    tensors = norm.module.tensors
    numbers = {part: each.float64(content) for part, each in tensors.items()}
    return factor_and_shift(norm.module, numbers)
