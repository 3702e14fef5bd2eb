"""What the calls in a pickle would return: tensors as they are stored, little else."""

import struct
from collections.abc import Callable, Mapping
from typing import Final

from sigmoid_models.files.pickle_values import (
    ITEM_BYTES,
    Foreign,
    Global,
    Instance,
    NumpyType,
    Opaque,
    Pairs,
    Storage,
)
from sigmoid_models.files.stored import (
    FormatError,
    Stored,
    checked_number,
    checked_shape,
    strides_of,
)


def found_storage(identifier: object) -> tuple[Storage, int]:
    """Read `("storage", type, key, location, elements[, view])`.

    Returns:
        What the identifier stands for, and the bytes of all that its key finds.

    Raises:
        FormatError: It is another identifier.
    """
    match identifier:
        case ("storage", Global("storage", dtype), str(key), _, number, *views):
            item, whole = ITEM_BYTES[dtype], checked_number(number)
        case _:
            raise FormatError("a pickle with an identifier that is no storage's")
    match views:
        case [] | [None]:
            return Storage(key, dtype, 0, whole * item), whole * item
        case [(_, first, size)]:
            first, size = checked_number(first), checked_number(size)
            if first + size <= whole:
                return Storage(key, dtype, first * item, size * item), whole * item
    raise FormatError("a pickle with a view of more than its storage")


def names_storage(identifier: object) -> bool:
    """Tell whether an identifier is that of a storage."""
    match identifier:
        case ("storage", Global("storage"), *_):
            return True
    return False


def foreign_identifier(identifier: object) -> object:
    """Describe what an identifier stands for that is no storage's.

    PyTorch before 1.6 wrote the class of a module so, with its source behind it.
    """
    match identifier:
        case ("module", Foreign() as named, *_):
            return named
    return Opaque("object")


def outcome(called: object, arguments: object) -> object:
    """Describe what a call gives.

    Args:
        called: The function, or the class.
        arguments: Its arguments, a tuple.

    Raises:
        FormatError: There is no such function, or these are not its arguments.
    """
    if isinstance(called, Opaque):
        return called
    if isinstance(called, Foreign | Instance):
        return _foreign(called, arguments)
    if not isinstance(called, Global) or not isinstance(arguments, tuple):
        raise FormatError("a pickle that calls what is no function")
    return _CALLS[called.kind](called, arguments)


def build(target: object, state: object) -> None:
    """Note what would be added to an object, as far as it is of use here.

    Raises:
        FormatError: It is no object to which something can be added.
    """
    match target, state:
        case Pairs(), Pairs() if len(state) <= _MOST_ATTRIBUTES:
            found = [value for name, value in state if name == "_metadata"]
            target.metadata = next((m for m in found if isinstance(m, Pairs)), None)
        case NumpyType(), (_, "<" | ">" as order, *_):
            target.layout = f"{order}{target.layout[-1]}"
        case Instance(), _:
            target.state = state
        case ((Pairs() | Opaque() | Stored()), _):
            pass
        case _:
            raise FormatError("a pickle that changes no object")


def _foreign(called: Foreign | Instance, arguments: object) -> object:
    match called, arguments:
        case Foreign(name), (Foreign(made), *_) if name in _MAKERS:
            return Instance(made)
        case Foreign(name), (Foreign(), str(member)) if name in _GETTERS:
            return Foreign(f"torch.{member}"[:100])
    return Instance(called.name)


def _pairs(called: Global, arguments: tuple[object, ...]) -> object:
    return Opaque("dict") if arguments else Pairs()


def _default_pairs(called: Global, arguments: tuple[object, ...]) -> Pairs:
    return Pairs()


def _first(called: Global, arguments: tuple[object, ...]) -> object:
    return arguments[0]


def _tensor(called: Global, arguments: tuple[object, ...]) -> Stored:
    storage, first, sizes, steps, *more = arguments
    if not isinstance(storage, Storage):
        raise FormatError("a pickle with a tensor that has no storage")
    dtype = storage.dtype
    if called.kind == "typed tensor":
        dtype = _dtype(more[2])
    # Behind the hooks, and the type, may stand what turns all signs.
    if any(isinstance(each, Pairs) and each for each in more[2:]):
        raise FormatError("a pickle with a tensor that is conjugate or negative")
    shape, strides = checked_shape(sizes), checked_shape(steps)
    if len(shape) != len(strides):
        raise FormatError("a pickle with a tensor of two ranks")
    return Stored(
        dtype,
        shape,
        strides,
        checked_number(first),
        storage.start,
        storage.size // ITEM_BYTES[dtype],
        key=storage.key,
    )


def _dtype(value: object) -> str:
    if isinstance(value, Global) and value.dtype:
        return value.dtype
    raise FormatError("a pickle with a tensor of no type")


def _sparse(called: Global, arguments: tuple[object, ...]) -> Stored:
    layout, parts = arguments
    if not isinstance(layout, Opaque) or not isinstance(parts, tuple):
        raise FormatError("a pickle with a tensor of no layout")
    found = [part.dtype for part in parts[:3] if isinstance(part, Stored)]
    sizes = next((part for part in parts if isinstance(part, list | tuple)), ())
    return _elsewhere(found[-1], sizes, f"{layout.kind}, cpu")


def _meta(called: Global, arguments: tuple[object, ...]) -> Stored:
    return _elsewhere(_dtype(arguments[0]), arguments[1], "strided, meta")


def _elsewhere(dtype: str, sizes: object, place: str) -> Stored:
    """Describe a tensor whose elements do not lie in a storage one by one."""
    shape = checked_shape(sizes)
    return Stored(dtype, shape, strides_of(shape), place=place)


def _layout(called: Global, arguments: tuple[object, ...]) -> Opaque:
    return Opaque(str(arguments[0])[:64].removeprefix("torch."))


def _wrapped(called: Global, arguments: tuple[object, ...]) -> object:
    """Read a tensor that has attributes: `(function, type, arguments, state)`."""
    inner = arguments[0]
    if isinstance(inner, Global) and inner.kind == "wrapped":
        raise FormatError("a pickle with a tensor in itself")
    return outcome(inner, arguments[2])


def _array(called: Global, arguments: tuple[object, ...]) -> Opaque:
    return Opaque("ndarray")


def _bytes(called: Global, arguments: tuple[object, ...]) -> object:
    """Read bytes as protocol 2 writes them: `(text, "latin1")`."""
    match arguments:
        case (str(text), "latin1" | "latin-1") if len(text) <= _LONGEST_NUMBER:
            return text.encode("latin-1")
    return Opaque("bytes")


def _numpy_type(called: Global, arguments: tuple[object, ...]) -> Opaque:
    code = arguments[0]
    if isinstance(code, str) and code in _LAYOUTS:
        return NumpyType(f"<{_LAYOUTS[code]}")
    return Opaque("dtype")


def _numpy_number(called: Global, arguments: tuple[object, ...]) -> object:
    match arguments:
        case (NumpyType(layout=layout), bytes(data)):
            (number,) = struct.unpack(layout, data)
            return number
    return Opaque("scalar")


def _opaque(called: Global, arguments: tuple[object, ...]) -> Opaque:
    return Opaque("object")


_MOST_ATTRIBUTES: Final = 16
_LONGEST_NUMBER: Final = 16
_MAKERS: Final = ("copy_reg._reconstructor", "copyreg._reconstructor")
_GETTERS: Final = ("builtins.getattr", "__builtin__.getattr")
_LAYOUTS: Final = {
    **{"f2": "e", "f4": "f", "f8": "d", "b1": "?"},
    **{"i1": "b", "i2": "h", "i4": "i", "i8": "q"},
    **{"u1": "B", "u2": "H", "u4": "I", "u8": "Q"},
}
_CALLS: Final[Mapping[str, Callable[[Global, tuple[object, ...]], object]]] = {
    "pairs": _pairs,
    "default pairs": _default_pairs,
    "array": _array,
    "bytes": _bytes,
    "numpy type": _numpy_type,
    "numpy number": _numpy_number,
    "same": _first,
    "first": _first,
    "tensor": _tensor,
    "typed tensor": _tensor,
    "sparse": _sparse,
    "meta": _meta,
    "layout": _layout,
    "wrapped": _wrapped,
    "opaque": _opaque,
    "storage": _opaque,
}
