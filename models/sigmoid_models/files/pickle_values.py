"""What a pickle holds, described: containers, storages, and names for the rest."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

_MOST_MODULES: Final = 2**14


class PickledObjectError(Exception):
    """A pickle has other objects than tensors and containers; the message names one.

    Args:
        name: The name of the first.
        outline: What can be said of the file; see `sigmoid_models.files.outline`.
        remedy: How to get at the weights in it.
    """

    def __init__(
        self, name: str, outline: str | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(name)
        self.outline = outline
        self.remedy = remedy


class Opaque:
    """An object that is neither made nor looked into.

    Attributes:
        kind: The type that it would have.
    """

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind


class NumpyType(Opaque):
    """A dtype of NumPy's.

    Attributes:
        layout: The layout of its numbers, for `struct`.
    """

    __slots__ = ("layout",)

    def __init__(self, layout: str) -> None:
        super().__init__("dtype")
        self.layout = layout


class Pairs(list[tuple[object, object]]):
    """A dictionary as pairs of key and value, in their order; a key may come again.

    Attributes:
        metadata: What a `state_dict` says of the modules that it is of, by their names.
    """

    __slots__ = ("metadata",)

    def __init__(
        self,
        pairs: Iterable[tuple[object, object]] = (),
        metadata: "Pairs | None" = None,
    ) -> None:
        super().__init__(pairs)
        self.metadata = metadata

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the modules, of those without parameters too; without the root's."""
        if self.metadata is None:
            return ()
        names = (name for name, _ in self.metadata if isinstance(name, str) and name)
        return tuple(islice(names, _MOST_MODULES))


@dataclass(frozen=True, slots=True)
class Foreign:
    """A name of a module's member that is not known here.

    Attributes:
        name: The name, with that of its module.
    """

    name: str


class Instance:
    """An object of a class that is not known here.

    Attributes:
        name: The name of its class, with that of its module.
        state: What would be added to it after it was made.
    """

    __slots__ = ("name", "state")

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: object = None


def brief(text: str, most: int = 40) -> str:
    """Return the beginning of a text from a file, fit to be printed in a line."""
    start = text if len(text) <= most else f"{text[:most]}…"
    return start if start.isprintable() else ascii(start)[1:-1]


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the numbers of tensors are.

    Attributes:
        key: The key of its data in the file.
        dtype: The dtype of its elements, as PyTorch names it.
        start: Offset of its first byte in the data of that key.
        size: Its length in bytes.
    """

    key: str
    dtype: str
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Global:
    """A name of a module's member that a pickle may use.

    Attributes:
        kind: How a call of it is described: see `sigmoid_models.files.pickle_calls`.
        dtype: The dtype of a storage's type, or the dtype itself.
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
_BUILTINS: Final = ("builtins", "__builtin__")
# Factories of a `defaultdict` are named, too.
_PLAIN_TYPES: Final = (
    *("set", "frozenset", "complex", "bytearray", "bytes"),
    *("dict", "list", "tuple", "int", "float", "bool", "str"),
)
GLOBALS: Final[Mapping[str, Global]] = {
    "collections.OrderedDict": Global("pairs"),
    "collections.Counter": Global("pairs"),
    "collections.defaultdict": Global("default pairs"),
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
            ("numpy", "ndarray"),
            *((module, name) for module in _BUILTINS for name in _PLAIN_TYPES),
        )
    },
    "_codecs.encode": Global("bytes"),
    "numpy.dtype": Global("numpy type"),
    **{
        f"numpy.{core}.{name}": Global(kind)
        for core in ("core", "_core")
        for name, kind in (
            ("multiarray._reconstruct", "array"),
            ("numeric._frombuffer", "array"),
            ("multiarray.scalar", "numpy number"),
        )
    },
}
