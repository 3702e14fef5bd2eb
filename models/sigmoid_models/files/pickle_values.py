"""What a pickle holds, described: containers, storages, and names for the rest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


class PickledObjectError(Exception):
    """A pickle has other objects than tensors and containers; the message names one."""


class Opaque:
    """An object that is neither made nor looked into.

    Attributes:
        kind: The type that it would have.
    """

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind


class Pairs(list[tuple[object, object]]):
    """A dictionary as pairs of key and value, in their order; a key may come again."""

    __slots__ = ()


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
GLOBALS: Final[Mapping[str, Global]] = {
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
