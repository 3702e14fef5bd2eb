"""Arrays of any library, as NumPy's of a type that the service takes; and `.npy`."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sigmoid_serve.client.errors import InvalidInputError, invalid

# Bytes of an element, by the kind of its type.
_SIZES: Final = {"f": (2, 4, 8), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8)}

_HINTS: Final = {
    "b": "True is not 1.0 here: say what it means, array.astype(float)",
    "c": "pass the real part, array.real, or the magnitude, abs(array)",
    "f": "longdouble is no type of the service: array.astype(float)",
    "O": "objects are no numbers: look at them, then array.astype(float)",
    "V": "pass fields by name: {name: array[name] for name in array.dtype.names}",
}


def is_array(value: Any) -> bool:
    """Tell whether it is an array of NumPy, PyTorch or another library, or a scalar."""
    return isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array__")


def as_array(value: Any) -> NDArray[Any]:
    """Turn an array of any library into one of a type that the service takes.

    Args:
        value: Of float16, bfloat16, float32, float64 or integers; a tensor of PyTorch
            may be on any device and require its gradient. bfloat16 becomes float32.

    Raises:
        InvalidInputError: Its elements are no such numbers, or some are masked.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise invalid(
            "not_a_number",
            "expected an array of numbers, got one with a mask",
            "fill in what is masked, array.filled(value), or leave these rows out",
        )
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = _from_torch(value)
    try:
        array = np.asarray(value)
    except (RuntimeError, TypeError, ValueError) as error:
        raise invalid(
            "dtype",
            f"expected an array that NumPy can hold, got a {type(value).__name__}: "
            f"{str(error)[:200]}",
            "move it to NumPy first",
        ) from None
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    dtype = array.dtype
    if dtype.itemsize not in _SIZES.get(dtype.kind, ()):
        raise invalid(
            "dtype",
            f"expected an array of float16, float32, float64 or integers, got {dtype}"[
                :400
            ],
            _HINTS.get(dtype.kind, "pass numbers: array.astype(float)"),
            expected="float16, float32, float64 or integers",
            got=str(dtype)[:200],
        )
    return array


def _from_torch(tensor: Any) -> Any:
    """Move a tensor of PyTorch, which is never imported for it, to NumPy."""
    try:
        tensor = tensor.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":
            tensor = tensor.float()
        return tensor.numpy()
    except (RuntimeError, TypeError) as error:
        raise invalid(
            "dtype",
            f"expected a dense tensor of floats or integers, got one of {tensor.dtype} "
            f"that NumPy cannot hold: {str(error)[:200]}",
            "pass tensor.to_dense().float()",
            got=str(tensor.dtype),
        ) from None


def check_finite(array: NDArray[Any]) -> None:
    """Raise for NaN and infinities, as the server would.

    Raises:
        InvalidInputError: At the first of them.
    """
    if array.dtype.kind != "f":
        return
    finite = np.isfinite(array)
    if finite.all():
        return
    index = np.unravel_index(int(np.argmin(finite)), array.shape)
    raise not_finite(array[index], "".join(f"/{place}" for place in index))


def not_finite(value: Any, place: str) -> InvalidInputError:
    """Make the error of NaN or an infinity, at a pointer below `/inputs`."""
    got = "NaN" if np.isnan(value) else "an infinity"
    return invalid(
        "not_a_number",
        f"expected a finite number at /inputs{place}, got {got}",
        "fill it in, or leave the row out; nothing is coerced",
        pointer=f"/inputs{place}",
        expected="a finite number",
        got=got,
    )


def write_npy(array: NDArray[Any]) -> bytes:
    """Write an array as `.npy`, format version 1.0, in C order."""
    header = (
        f"{{'descr': '{array.dtype.str}', "
        f"'fortran_order': False, 'shape': {array.shape}, }}"
    )
    # The data starts at a multiple of 64 bytes, for readers that map the file.
    text = (header + " " * (-(len(header) + 11) % 64) + "\n").encode("latin-1")
    start = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    return b"".join(
        (start, np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    )
