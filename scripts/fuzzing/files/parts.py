"""Parts of checkpoint files, each as one may want it: pickles, archives, headers."""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, Final

_MAGIC: Final = 0x1950A86A20F9469CFC6C


def archive(
    program: bytes,
    storages: Mapping[str, bytes] | None = None,
    order: str = "little",
    **options: Any,
) -> bytes:
    """Make what `torch.save` makes, of a pickle and the storages beside it."""
    parts = {"data.pkl": program, "byteorder": order.encode()}
    for key, content in (storages or {"0": bytes(400)}).items():
        parts[f"data/{key}"] = content
    parts["version"] = b"3\n"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as written:
        for name, content in parts.items():
            # Not the time of day, which would make other bytes of the same seed.
            part = zipfile.ZipInfo(f"archive/{name}")
            written.writestr(part, content, written.compression)
    return file.getvalue()


def legacy(program: bytes, storages: Mapping[str, bytes] | None = None) -> bytes:
    """Make what `torch.save` made before 1.6."""
    storages = storages or {}
    machine: dict[str, bool] = {}
    head = b"".join(pickle.dumps(each, 2) for each in (_MAGIC, 1001, machine))
    keys = pickle.dumps(list(storages), 2)
    data = [struct.pack("<q", len(one) // 4) + one for one in storages.values()]
    return b"".join((head, program, keys, *data))


def text(value: str) -> bytes:
    """Write the instruction that pushes a text."""
    content = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(content)) + content


def number(value: int) -> bytes:
    """Write the instruction that pushes a whole number."""
    if 0 <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    content = value.to_bytes(9, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def row(values: Sequence[int]) -> bytes:
    """Write the instructions that push a tuple of numbers."""
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(
    shape: Sequence[int],
    strides: Sequence[int],
    elements: int = 100,
    key: str = "0",
    first: int = 0,
) -> bytes:
    """Write the instructions that push a tensor."""
    storage = (text("storage"), b"ctorch\nFloatStorage\n", text(key), text("cpu"))
    rebuilt = b"ctorch._utils\n_rebuild_tensor_v2\n"
    found = b"".join((b"(", *storage, number(elements), b"tQ"))
    hooks = b"\x89ccollections\nOrderedDict\n)R"
    whole = (rebuilt, b"(", found, number(first), row(shape), row(strides), hooks)
    return b"".join((*whole, b"tR"))


def state(tensors: Mapping[str, bytes]) -> bytes:
    """Write a pickle of tensors by name."""
    items = b"".join(text(name) + each for name, each in tensors.items())
    return b"\x80\x02}(" + items + b"u."


def safetensors_file(document: Any, data: bytes = b"", length: int = -1) -> bytes:
    """Make a file of any header."""
    header = document if isinstance(document, bytes) else json.dumps(document).encode()
    size = len(header) if length < 0 else length
    return struct.pack("<Q", size) + header + data
