"""Small checkpoint files that would take much: memory, time, or what is not theirs."""

import io
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final

import safetensors.torch
import torch

from fuzzing.files.parts import (
    archive,
    legacy,
    safetensors_file,
    state,
    tensor,
    text,
)
from sigmoid_models.checkpoint import HEADER_ENTRY
from sigmoid_models.classifier import sequential

Bomb = Callable[[Random], bytes]

_STEPS: Final = 400_000


def named(random: Random) -> str:
    """Draw the name of a bomb."""
    return random.choice(sorted(BOMBS))


def suffix_of(name: str) -> str:
    """Say how the name of its file ends."""
    return ".safetensors" if name.startswith("safetensors") else ".pt"


def _repeated(piece: bytes, start: bytes = b"", stop: bytes = b".") -> Bomb:
    def make(random: Random) -> bytes:
        steps = random.randrange(1, _STEPS)
        program = b"\x80\x02" + start + piece * steps + stop
        return archive(program) if random.random() < 0.5 else legacy(program)

    return make


def _memo(random: Random) -> bytes:
    count = random.randrange(1, _STEPS // 2)
    return legacy(
        b"\x80\x02"
        + b"".join(b"}r" + struct.pack("<I", place) for place in range(count))
        + b"."
    )


def _one(**tensors: bytes) -> bytes:
    return archive(state({"fc1.weight": tensors["weight"]}))


def _tensors(shape: Sequence[int], strides: Sequence[int], **options: Any) -> Bomb:
    return lambda random: _one(weight=tensor(shape, strides, **options))


def _shared(random: Random) -> bytes:
    count = random.randrange(100, 1000)
    width = 320
    one = tensor([width, width], [width, 1], width * width)
    return archive(
        state({f"{2 * index}.weight": one for index in range(count)}),
        {"0": bytes(4 * width * width)},
    )


def _inflated(random: Random) -> bytes:
    size = random.randrange(2**20, 2**26)
    weight = tensor([size // 4], [1], size // 4)
    return archive(
        state({"fc1.weight": weight}),
        {"0": bytes(size)},
        compression=zipfile.ZIP_DEFLATED,
    )


def _inflated_pickle(random: Random) -> bytes:
    program = b"\x80\x02" + b"]" * random.randrange(2**20, 2**26) + b"."
    return archive(program, compression=zipfile.ZIP_DEFLATED)


def _overlapping(random: Random) -> bytes:
    """Let all storages lie at one place (Fifield's bomb, without the deflating)."""
    size, count = 400_000, random.randrange(2, 50)
    keys = [f"{index:02d}" for index in range(count)]
    made = bytearray(
        archive(
            state({f"{key}.weight": tensor([9], [1], size // 4, key) for key in keys}),
            {key: bytes(size) if key == "00" else bytes(8) for key in keys},
        )
    )
    at = first = made.index(b"PK\1\2")
    while made[at : at + 4] == b"PK\1\2":
        named, extra, comment = struct.unpack_from("<3H", made, at + 28)
        name = made[at + 46 : at + 46 + named]
        if name.startswith(b"archive/data/"):
            first = first if name != b"archive/data/00" else at
            made[at + 20 : at + 28] = struct.pack("<2L", size, size)
            made[at + 42 : at + 46] = made[first + 42 : first + 46]
        at += 46 + named + extra + comment
    return bytes(made)


def _parts(random: Random) -> bytes:
    count = random.randrange(20_000, 30_000)
    storages = {str(index): b"" for index in range(count)}
    return archive(b"\x80\x02}.", storages)


def _directory(field: int, layout: str, value: int) -> Bomb:
    """Let the directory's first entry lie in one of its fields."""

    def make(random: Random) -> bytes:
        made = bytearray(archive(state({"fc1.weight": tensor([10, 10], [10, 1])})))
        at = made.index(b"PK\1\2")
        struct.pack_into(layout, made, at + field, value)
        return bytes(made)

    return make


def _end(random: Random) -> bytes:
    made = bytearray(archive(b"\x80\x02}."))
    at = made.rindex(b"PK\5\6")
    struct.pack_into(
        *("<2H2L", made, at + 8),
        *(random.choice((0, 1, 2**16 - 1)) for _ in range(2)),
        *(random.choice((0, 1, 2**32 - 1, len(made))) for _ in range(2)),
    )
    return bytes(made)


def _twice(random: Random) -> bytes:
    """Put another archive before the whole, behind it or into its comment."""
    one, other = archive(b"\x80\x02}."), archive(state({"a": tensor([1], [1])}))
    comment = struct.pack("<H", len(other)) + other
    return random.choice((one + other, other[:-22] + one, one[:-2] + comment))


def _entry(shape: Any, start: int, stop: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def _lengths(random: Random) -> bytes:
    length = random.choice((0, 1, 2**22 + 1, 100 * 2**20, 2**32, 2**63, 2**64 - 1))
    return safetensors_file(b"{}" + b" " * random.choice((0, 2**23)), length=length)


def _spaces(random: Random) -> bytes:
    return safetensors_file(b"{" + b" " * random.randrange(2**23) + b"}")


def _depth(random: Random) -> bytes:
    depth = random.randrange(500, 2**21)
    return safetensors_file(b'{"a":' + b"[" * depth + b"]" * depth + b"}")


def _many(random: Random) -> bytes:
    count = random.randrange(1000, 50_000)
    names = (f"{2 * index}.weight" for index in range(count))
    return safetensors_file(
        {name: _entry([1, 1], 4 * at, 4 * at + 4) for at, name in enumerate(names)},
        bytes(4 * count),
    )


def _same_bytes(random: Random) -> bytes:
    count = random.randrange(2, 1000)
    entries = {f"{index}.weight": _entry([1000], 0, 4000) for index in range(count)}
    return safetensors_file(entries, bytes(4000))


def _wrapped(random: Random) -> bytes:
    """Let the number of elements be 0 in 64 bits."""
    shape = random.choice(([2**32, 2**32], [0, 2**62], [2**16] * 4, [2**31] * 40))
    return safetensors_file({"fc1.weight": _entry(shape, 0, 0)})


def _names(random: Random) -> bytes:
    names = ("\ud800", "\0", "x" * 2**20, "a\nb", "\u202e", "0." + "9" * 5000, "")
    return safetensors_file({random.choice(names): _entry([1], 0, 4)}, bytes(4))


def _card(text: str) -> bytes:
    network = sequential((2, 2, 1)).state_dict()
    return safetensors.torch.save(dict(network), metadata={HEADER_ENTRY: text})


def _begin(random: Random) -> str:
    return f'{{"format":{random.choice((1, 2))},'


def _golden(piece: str) -> Bomb:
    def make(random: Random) -> bytes:
        count = random.randrange(1000, 2**20)
        return _card(_begin(random) + '"golden":{"inputs":[' + piece * count + "0]}}")

    return make


def _entries(random: Random) -> bytes:
    count = random.randrange(1000, 2**17)
    members = ",".join(f'"{index}":0' for index in range(count))
    return _card(_begin(random) + members + "}")


def _layers(random: Random) -> bytes:
    made = io.BytesIO()
    layers = random.randrange(1000, 1100)
    torch.save(sequential([1] * (layers + 1)).state_dict(), made)
    return made.getvalue()


def _thin(random: Random) -> bytes:
    width = random.randrange(2**20, 2**21)
    shapes = {"fc1.weight": (width, 1), "fc1.bias": (width,)}
    shapes |= {"fc2.weight": (1, width), "fc2.bias": (1,)}
    made = io.BytesIO()
    torch.save({name: torch.zeros(shape) for name, shape in shapes.items()}, made)
    return made.getvalue()


BOMBS: Final[Mapping[str, Bomb]] = {
    "pickle of marks": _repeated(b"("),
    "pickle of lists": _repeated(b"]"),
    "pickle of lists in lists": _repeated(b"]a", b"]" * 2),
    "pickle of dictionaries": _repeated(b"}"),
    "pickle of sets": _repeated(b"\x8f"),
    "pickle of tuples in tuples": _repeated(b"\x85", b")"),
    "pickle of tuples doubled": _repeated(b"q\0h\0\x86", b")"),
    "pickle of calls": _repeated(b"ccollections\nOrderedDict\n)R"),
    "pickle of texts": _repeated(text("ab")),
    "pickle of wide texts": lambda random: legacy(
        b"\x80\x02" + text("a" * 65_530 + "😀") * random.randrange(1, 100) + b"."
    ),
    "pickle of one text": lambda random: archive(
        b"\x80\x02" + text("a" * random.randrange(2**20, 2**24)) + b"."
    ),
    "pickle of a text that ends late": lambda random: archive(
        b"\x80\x02X\xff\xff\xff\xff"
    ),
    "pickle of numbers": _repeated(b"\x8a\xff" + b"\x7f" * 255),
    "pickle of a number of gigabytes": _repeated(b"\x8b\xff\xff\xff\x7f"),
    "pickle of a frame of exabytes": _repeated(b"\x95" + b"\xff" * 7 + b"\x7f"),
    "pickle of a far memo": _repeated(b"r\xff\xff\xff\x7f", b"}"),
    "pickle of a memo": _memo,
    "pickle of items": _repeated(b"K\1K\1", b"}(", b"u."),
    "tensor without strides": _tensors([2**20, 2**20], [0, 0]),
    "tensor beyond its storage": _tensors([10, 10], [10, 1], first=1),
    "tensor of negative strides": _tensors([10, 10], [-10, 1]),
    "tensor of much and nothing": _tensors([2**61, 0], [1, 1]),
    "tensor of many dimensions": _tensors([1] * 100_000, [1] * 100_000),
    "tensor of a large storage": _tensors([2**34], [1], elements=2**34),
    "tensor of a storage that is not there": _tensors([1], [1], key="1"),
    "tensors of one storage": _shared,
    "archive inflated": _inflated,
    "archive with an inflated pickle": _inflated_pickle,
    "archive overlapping": _overlapping,
    "archive of many parts": _parts,
    "archive encrypted": _directory(8, "<H", 1),
    "archive of a larger size": _directory(24, "<L", 2**31),
    "archive of larger sizes": _directory(20, "<Q", (2**31 << 32) + 2**31),
    "archive without its sizes": _directory(20, "<Q", 2**64 - 1),
    "archive of a far part": _directory(42, "<L", 2**31),
    "archive with another end": _end,
    "archive in an archive": _twice,
    "safetensors of another length": _lengths,
    "safetensors of spaces": _spaces,
    "safetensors nested": _depth,
    "safetensors of many tensors": _many,
    "safetensors of the same bytes": _same_bytes,
    "safetensors of 2^64 elements": _wrapped,
    "safetensors of odd names": _names,
    "safetensors with a card of numbers": _golden("0,"),
    "safetensors with a card of rows": _golden("[],"),
    "safetensors with a card of entries": _entries,
    "safetensors with a deep card": _golden("["),
    "network of many layers": _layers,
    "network of thin layers": _thin,
}
