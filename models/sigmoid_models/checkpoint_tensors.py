"""The tensors of a checkpoint: found in the file's bytes, checked, and made.

Nothing is made of a tensor before all of them were found to be numbers that the file
really holds.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from torch import Tensor

from sigmoid_models.files.pickle_values import Opaque, Pairs, PickledObjectError
from sigmoid_models.files.safetensors_header import Contents, read_header
from sigmoid_models.files.state_dict import read_saved
from sigmoid_models.files.stored import FormatError, Stored, is_finite
from sigmoid_models.messages import CheckpointError

_MOST_SHOWN: Final = 100

# The bytes of the weights in float32, as a multiple of the file: it may store each in
# 16 bits. A small file may also name the same numbers more than once.
_WEIGHT_SHARE: Final = 2
_LEAST_WEIGHT_BYTES: Final = 2**25


def read_safetensors(path: Path, content: bytes) -> Contents:
    """Find the tensors of a `.safetensors` file by name, and its metadata.

    Raises:
        CheckpointError: It is no such file, or not a whole one.
    """
    try:
        return read_header(content)
    except FormatError as error:
        finding = f"not a whole safetensors file ({error})"
        raise CheckpointError(path, finding, "copy or save it again") from None


def read_state_dict(path: Path, content: bytes) -> dict[str, Stored]:
    """Find the tensors of a file of `torch.save` by name.

    Raises:
        CheckpointError: It is no such file, not a whole one, or holds anything but a
            `state_dict`.
    """
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
        finding = f"it holds a {_type_name(state)}, not a state_dict"
        raise CheckpointError(path, finding, remedy)
    tensors = {
        name: value
        for name, value in state
        if isinstance(name, str) and isinstance(value, Stored)
    }
    if len(tensors) < len(state):
        strangers = _shown(
            name if isinstance(name, str | int | float) else _type_name(name)
            for name, value in state
            if not (isinstance(name, str) and isinstance(value, Stored))
        )
        if strangers:
            finding = f"not only tensors by name: {strangers}"
            raise CheckpointError(path, finding, remedy)
    return tensors


def _type_name(value: object) -> str:
    if isinstance(value, Opaque):
        return value.kind
    return "Tensor" if isinstance(value, Stored) else type(value).__name__


def _shown(names: Iterable[object]) -> str:
    return ", ".join(str(name)[:64] for name in islice(names, _MOST_SHOWN))


def check_tensors(path: Path, tensors: Mapping[str, Stored], file_bytes: int) -> None:
    """Check that every tensor is of floating-point numbers that the file really holds.

    Raises:
        CheckpointError: One is not, or they would take much more memory than the file.
    """
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


def make_weights(
    path: Path, tensors: Mapping[str, Stored], content: bytes
) -> dict[str, Tensor]:
    """Make every tensor, in float32.

    Raises:
        CheckpointError: A value is NaN or infinite in float32.
    """
    weights = {}
    for name, tensor in tensors.items():
        weights[name] = tensor.float32(content)
        if not is_finite(weights[name]):
            remedy = "save dense floating-point weights that are finite in float32"
            finding = f"{name[:64]} has NaN or infinite values"
            raise CheckpointError(path, finding, remedy)
    return weights
