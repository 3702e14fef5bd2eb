"""Pickles, read as data: what would be made of them is described, never made.

A pickle is a program, whose instructions name functions and call them. Here nothing is
called, imported or built: the instructions that `torch.save` writes are followed on
descriptions alone. A tensor becomes a `Stored`, a plain container becomes one, a NumPy
array and the like become an `Opaque`; any other name is refused. Each instruction takes
a constant time and leaves a constant memory, besides that of the bytes it has itself.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from models.stored import FormatError, Stored, checked_number, checked_shape

MAX_STEPS: Final = 500_000

# A text may take four bytes for a character, so not all of them are kept.
_LONGEST_TEXT: Final = 2**16
_MOST_TEXT: Final = 2**22
_LONGEST_NAME: Final = 200


class PickledObjectError(Exception):
    """A pickle that names something else than tensors and plain containers; which."""


class Opaque:
    """Something that is not looked at, and is not made.

    Attributes:
        kind: What it would be.
    """

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind


class Pairs(list[tuple[object, object]]):
    """A dictionary, as its keys and values came; a key may come again."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the numbers of tensors are.

    Attributes:
        key: By which it is found in the file.
        dtype: Of its elements, as PyTorch calls it.
        start: Place of its first byte in what the key finds.
        size: Its length in bytes.
    """

    key: str
    dtype: str
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Global:
    """A name that a pickle may have.

    Attributes:
        kind: What is done where it is called: a key of `_CALLS`, or none.
        dtype: Of a storage, or of what has one.
    """

    kind: str
    dtype: str = ""


ITEM_BYTES: Final[Mapping[str, int]] = {
    **dict.fromkeys(("float64", "int64", "uint64", "complex64"), 8),
    **dict.fromkeys(("float32", "int32", "uint32", "qint32", "complex32"), 4),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16"), 2),
    **dict.fromkeys(("int8", "uint8", "bool", "qint8", "quint8"), 1),
    **dict.fromkeys(("quint4x2", "quint2x4", "float8_e5m2", "float8_e4m3fn"), 1),
    **dict.fromkeys(("float8_e5m2fnuz", "float8_e4m3fnuz", "float8_e8m0fnu"), 1),
    "complex128": 16,
}
_STORAGES: Final = {
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "QInt8": "qint8",
    "QInt32": "qint32",
    "QUInt8": "quint8",
    "QUInt4x2": "quint4x2",
    "QUInt2x4": "quint2x4",
}
_GLOBALS: Final[Mapping[str, Global]] = {
    "collections.OrderedDict": Global("pairs"),
    "collections.Counter": Global("pairs"),
    "torch.Size": Global("same"),
    "torch._utils._rebuild_tensor": Global("tensor"),
    "torch._utils._rebuild_tensor_v2": Global("tensor"),
    "torch._utils._rebuild_tensor_v3": Global("typed tensor"),
    "torch._utils._rebuild_parameter": Global("first"),
    "torch._utils._rebuild_parameter_with_state": Global("first"),
    "torch._utils._rebuild_sparse_tensor": Global("sparse"),
    "torch._utils._rebuild_meta_tensor_no_storage": Global("meta"),
    "torch._utils._rebuild_qtensor": Global("tensor"),
    "torch._tensor._rebuild_from_type_v2": Global("wrapped"),
    "torch.nn.parameter.Parameter": Global("first"),
    "torch.serialization._get_layout": Global("layout"),
    **{f"torch.{name}": Global("opaque", name) for name in ITEM_BYTES},
    **{
        f"torch.{place}{name}Storage": Global("storage", dtype)
        for name, dtype in _STORAGES.items()
        for place in ("", "cuda.")
    },
    "torch.storage.UntypedStorage": Global("storage", "uint8"),
    **{
        f"{module}.{name}": Global("opaque")
        for module, name in (
            ("torch", "Tensor"),
            ("torch", "device"),
            ("torch", "per_tensor_affine"),
            ("torch", "per_tensor_symmetric"),
            ("torch", "per_channel_affine"),
            ("torch", "per_channel_symmetric"),
            ("torch", "per_channel_affine_float_qparams"),
            ("torch._utils", "_rebuild_nested_tensor"),
            ("torch._utils", "_rebuild_wrapper_subclass"),
            ("torch._utils", "_rebuild_device_tensor_from_numpy"),
            ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"),
            ("_codecs", "encode"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy.core.multiarray", "scalar"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "scalar"),
            *((m, n) for m in ("builtins", "__builtin__") for n in ("set", "complex")),
            *((m, "bytearray") for m in ("builtins", "__builtin__")),
        )
    },
}


class Pickles:
    """Pickles that stand one after another in a file.

    Args:
        content: Of the file.
        start: Place of the first.
        stop: Where the last must have ended.

    Attributes:
        at: Place behind what was read.
        storages: How many bytes each key of the last pickle stands for.
    """

    def __init__(self, content: bytes, start: int, stop: int) -> None:
        self.at = start
        self._content = content
        self._stop = stop
        self._steps = 0
        self._text = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}
        self.storages: dict[str, int] = {}

    def read(self) -> object:
        """Describe what the next pickle holds.

        Raises:
            FormatError: It is cut off, damaged, too long or by another program.
            PickledObjectError: It holds something else than tensors and containers.
        """
        self._stack, self._marks, self._memo, self.storages = [], [], {}, {}
        try:
            while True:
                code = self._byte()
                if code == _STOP:
                    return self._stack.pop()
                self._steps += 1
                if self._steps > MAX_STEPS:
                    raise FormatError(f"a pickle of more than {MAX_STEPS} steps")
                step = _STEPS.get(code)
                if step is None:
                    raise FormatError(
                        f"a pickle with the instruction 0x{code:02x}, which torch.save "
                        "does not write"
                    )
                step(self)
        except (IndexError, KeyError, struct.error, ValueError) as error:
            raise FormatError(f"a damaged pickle: {type(error).__name__}") from None

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        at = self.at
        self.at = at + count
        if self.at > self._stop:
            raise FormatError("a pickle that is cut off")
        return self._content[at : self.at]

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _items(self) -> list[Any]:
        """Take what lies above the last mark."""
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _text_of(self, count: int) -> object:
        if count > _LONGEST_TEXT or self._text + count > _MOST_TEXT:
            self.at += count
            if self.at > self._stop:
                raise FormatError("a pickle that is cut off")
            return Opaque("str")
        self._text += count
        return self._take(count).decode("utf-8", "surrogatepass")

    def _line(self) -> str:
        stop = min(self._stop, self.at + _LONGEST_NAME)
        end = self._content.find(b"\n", self.at, stop)
        if end < 0:
            raise FormatError("a pickle with a name that does not end")
        line = self._take(end - self.at)
        self.at += 1
        return line.decode("utf-8")

    def name(self) -> None:
        """Push what a name stands for."""
        full = f"{self._line()}.{self._line()}"
        if full not in _GLOBALS:
            raise PickledObjectError(full)
        self._stack.append(_GLOBALS[full])

    def skip(self, count: int) -> None:
        """Pass over bytes."""
        self._take(count)

    def push(self, value: object) -> None:
        """Push a value."""
        self._stack.append(value)

    def number(self, layout: str) -> None:
        """Push a number."""
        self._stack.append(self._number(layout))

    def long(self) -> None:
        """Push a whole number of up to 255 bytes."""
        self._stack.append(
            int.from_bytes(self._take(self._byte()), "little", signed=True)
        )

    def text(self, layout: str) -> None:
        """Push a text."""
        self._stack.append(self._text_of(self._number(layout)))

    def mark(self) -> None:
        """Mark the top."""
        self._marks.append(len(self._stack))

    def make_tuple(self, count: int | None) -> None:
        """Push the last values, or those above the mark, as one."""
        if count is None:
            self._stack.append(tuple(self._items()))
            return
        self._need(count)
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._stack.append(items)

    def _need(self, count: int) -> None:
        if len(self._stack) - (self._marks[-1] if self._marks else 0) < count:
            raise FormatError("a pickle that takes what is not there")

    def append(self, *, is_many: bool) -> None:
        """Add to a list."""
        items = self._items() if is_many else [self._pop()]
        target = self._stack[-1]
        if type(target) is list:
            target.extend(items)
        elif not isinstance(target, Opaque):
            raise FormatError("a pickle that appends to no list")

    def _pop(self) -> Any:
        self._need(1)
        return self._stack.pop()

    def set_items(self, *, is_many: bool) -> None:
        """Add to a dictionary."""
        if is_many:
            items = self._items()
        else:
            self._need(2)
            items = self._stack[-2:]
            del self._stack[-2:]
        target = self._stack[-1]
        if not isinstance(target, Pairs | Opaque):
            raise FormatError("a pickle that sets an item of no dictionary")
        if isinstance(target, Pairs):
            target.extend(zip(items[::2], items[1::2], strict=True))

    def put(self, layout: str) -> None:
        """Keep the top for later."""
        place = self._number(layout)
        if place >= MAX_STEPS:
            raise FormatError("a pickle that keeps more than it can have")
        self._memo[place] = self._stack[-1]

    def get(self, layout: str) -> None:
        """Push what was kept."""
        self._stack.append(self._memo[self._number(layout)])

    def find(self) -> None:
        """Push the storage that an identifier stands for."""
        storage, whole = _storage(self._pop())
        if self.storages.setdefault(storage.key, whole) != whole:
            raise FormatError("a pickle with a storage of two sizes")
        self._stack.append(storage)

    def call(self) -> None:
        """Describe what a call would give."""
        self._need(2)
        arguments, called = self._stack.pop(), self._stack.pop()
        self._stack.append(_outcome(called, arguments))

    def build(self) -> None:
        """Pass over what would be added to an object."""
        self._need(2)
        self._stack.pop()
        if not isinstance(self._stack[-1], Pairs | Opaque | Stored):
            raise FormatError("a pickle that changes no object")


def _storage(identifier: object) -> tuple[Storage, int]:
    """Read `("storage", type, key, location, elements[, view])`.

    Returns:
        What the identifier stands for, and the bytes of all that its key finds.
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


def _outcome(called: object, arguments: object) -> object:
    if isinstance(called, Opaque):
        return called
    if not isinstance(called, Global) or not isinstance(arguments, tuple):
        raise FormatError("a pickle that calls what is no function")
    return _CALLS[called.kind](called, arguments)


def _pairs(called: Global, arguments: tuple[object, ...]) -> object:
    return Opaque("dict") if arguments else Pairs()


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
    return Stored(found[-1], (), place=f"{layout.kind}, cpu")


def _meta(called: Global, arguments: tuple[object, ...]) -> Stored:
    return Stored(_dtype(arguments[0]), (), place="strided, meta")


def _layout(called: Global, arguments: tuple[object, ...]) -> Opaque:
    return Opaque(str(arguments[0])[:64].removeprefix("torch."))


def _wrapped(called: Global, arguments: tuple[object, ...]) -> object:
    """Read a tensor that has attributes: `(function, type, arguments, state)`."""
    inner = arguments[0]
    if isinstance(inner, Global) and inner.kind == "wrapped":
        raise FormatError("a pickle with a tensor in itself")
    return _outcome(inner, arguments[2])


def _opaque(called: Global, arguments: tuple[object, ...]) -> Opaque:
    return Opaque("object")


_CALLS: Final[Mapping[str, Callable[[Global, tuple[object, ...]], object]]] = {
    "pairs": _pairs,
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
_STOP: Final = ord(".")
_STEPS: Final[Mapping[int, Callable[[Pickles], None]]] = {
    ord("c"): Pickles.name,
    ord("("): Pickles.mark,
    ord("Q"): Pickles.find,
    ord("R"): Pickles.call,
    0x81: Pickles.call,  # to make an object of a class is as to call it
    ord("b"): Pickles.build,
    0x80: partial(Pickles.skip, count=1),  # the protocol
    ord("N"): partial(Pickles.push, value=None),
    0x88: partial(Pickles.push, value=True),
    0x89: partial(Pickles.push, value=False),
    ord(")"): partial(Pickles.push, value=()),
    ord("]"): lambda pickles: pickles.push([]),
    ord("}"): lambda pickles: pickles.push(Pairs()),
    0x8F: lambda pickles: pickles.push(Opaque("set")),
    ord("K"): partial(Pickles.number, layout="<B"),
    ord("M"): partial(Pickles.number, layout="<H"),
    ord("J"): partial(Pickles.number, layout="<i"),
    ord("G"): partial(Pickles.number, layout=">d"),
    0x8A: Pickles.long,
    ord("X"): partial(Pickles.text, layout="<I"),
    ord("U"): partial(Pickles.text, layout="<B"),
    ord("t"): partial(Pickles.make_tuple, count=None),
    0x85: partial(Pickles.make_tuple, count=1),
    0x86: partial(Pickles.make_tuple, count=2),
    0x87: partial(Pickles.make_tuple, count=3),
    ord("a"): partial(Pickles.append, is_many=False),
    ord("e"): partial(Pickles.append, is_many=True),
    ord("s"): partial(Pickles.set_items, is_many=False),
    ord("u"): partial(Pickles.set_items, is_many=True),
    ord("q"): partial(Pickles.put, layout="<B"),
    ord("r"): partial(Pickles.put, layout="<I"),
    ord("h"): partial(Pickles.get, layout="<B"),
    ord("j"): partial(Pickles.get, layout="<I"),
}
