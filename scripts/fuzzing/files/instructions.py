"""Damage to the instructions of pickles, which stay instructions."""

import io
import pickletools
import struct
import zipfile
from collections.abc import Callable
from random import Random
from typing import Final

from fuzzing.files.parts import number, text

Instructions = list[bytes]

_NAMES: Final = (
    *(b"cos\nsystem\n", b"cbuiltins\nexec\n", b"ctorch\nload\n", b"cthis\ns\n"),
    *(b"ccollections\nOrderedDict\n", b"ctorch._utils\n_rebuild_tensor_v2\n"),
    *(b"ctorch\nFloatStorage\n", b"ctorch\nHalfStorage\n", b"ctorch\nSize\n"),
    *(
        b"ctorch._utils\n_rebuild_parameter\n",
        b"ctorch\nfloat64\n",
        b"ctorch\ndevice\n",
    ),
    *(
        b"ctorch._tensor\n_rebuild_from_type_v2\n",
        b"cnumpy\ndtype\n",
        b"cnumpy\nndarray\n",
    ),
    *(b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy.core.multiarray\nscalar\n"),
)
_OTHERS: Final = (
    *(b"0", b"1", b"2", b"(", b"N", b"\x88", b"\x89", b")", b"]", b"}", b"\x8f", b"."),
    *(b"R", b"b", b"Q", b"a", b"e", b"s", b"u", b"t", b"\x85", b"\x86", b"\x87"),
    *(b"\x81", b"\x92", b"\x93", b"\x94", b"\x90", b"\x91", b"q\0", b"h\0", b"h\1"),
    *(b"K\0", b"K\2", b"M\0\1", b"\x8a\0", b"G\x7f\xf0\0\0\0\0\0\0", b"C\1x", b"U\1x"),
    *(b"I1\n", b"L1L\n", b"F1.5\n", b"S'x'\n", b"Vx\n", b"P0\n", b"g0\n", b"p0\n"),
    *(
        b"i",
        b"o",
        b"d",
        b"l",
        b"\x82\1",
        b"\x97",
        b"\x98",
        b"\x80\5",
        b"\x95" + bytes(8),
    ),
)
_TEXTS: Final = (
    *("", ".", "weight", "0.weight", "1.weight", "fc1.weight", "fc2.bias", "bias"),
    *("module.", "_metadata", "relu", "storage", "cpu", "cuda:0", "0", "1", "17"),
    *("head.weight", "running_mean", "x" * 300, "\x1b[31m", "\n", "\u2028", "\ud800"),
    *("activation", "state_dict", "model", "param_groups", "n_averaged", "latin1"),
)
_NUMBERS: Final = (0, 1, 2, 3, 4, 5, 6, 7, 24, 255, 2**16, 2**31, 2**62, -1, -(2**40))


def damage_instructions(random: Random, content: bytes) -> bytes:
    """Change one to eight instructions of what `torch.save` made.

    Returns:
        The file as it was, where its pickle can no longer be read.
    """
    try:
        if content[:2] != b"PK":
            start, stop = _legacy_span(content)
            changed = _changed(random, content[start:stop])
            return content[:start] + changed + content[stop:]
        return _archive_with(random, content)
    # It was damaged before.
    except (ValueError, zipfile.BadZipFile, EOFError, LookupError, NotImplementedError):
        return content


def _archive_with(random: Random, content: bytes) -> bytes:
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as read,
        zipfile.ZipFile(made, "w") as written,
    ):
        for entry in read.infolist():
            part = read.read(entry)
            if entry.filename.endswith("/data.pkl"):
                part = _changed(random, part)
            # Not the time of day, which would make other bytes of the same seed.
            written.writestr(zipfile.ZipInfo(entry.filename), part)
    return made.getvalue()


def _legacy_span(content: bytes) -> tuple[int, int]:
    """Find the fourth pickle, which is what was saved."""
    file = io.BytesIO(content)
    start = 0
    for _ in range(4):
        start = file.tell()
        for _ in pickletools.genops(file):
            pass
    return start, file.tell()


def _changed(random: Random, program: bytes) -> bytes:
    places = [at or 0 for _, _, at in pickletools.genops(program)]
    stops = [*places[1:], len(program)]
    parts = [program[a:b] for a, b in zip(places, stops, strict=True)]
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        random.choice(_CHANGES)(random, parts)
    return b"".join(parts)


def _place(random: Random, parts: Instructions) -> int:
    return random.randrange(len(parts))


def _delete(random: Random, parts: Instructions) -> None:
    at = _place(random, parts)
    parts[at : at + random.choice((1, 1, 2, 5))] = [b""]


def _insert(random: Random, parts: Instructions) -> None:
    parts.insert(_place(random, parts), _drawn(random))


def _replace(random: Random, parts: Instructions) -> None:
    parts[_place(random, parts)] = _drawn(random)


def _swap(random: Random, parts: Instructions) -> None:
    one = _place(random, parts)
    two = min(one + random.choice((1, 1, 2, 10)), len(parts) - 1)
    parts[one], parts[two] = parts[two], parts[one]


def _copy(random: Random, parts: Instructions) -> None:
    one, two = _place(random, parts), _place(random, parts)
    parts[two:two] = parts[one : one + random.choice((1, 2, 10, 40))]


def _other_argument(random: Random, parts: Instructions) -> None:
    """Replace a text by another text, a number by another number, a name by one."""
    kinds = {b"X": _text, b"K": _number, b"M": _number, b"J": _number, b"c": _name}
    found = [at for at, part in enumerate(parts) if part[:1] in kinds]
    if found:
        at = random.choice(found)
        parts[at] = kinds[parts[at][:1]](random)


def _text(random: Random) -> bytes:
    return text(random.choice(_TEXTS))


def _number(random: Random) -> bytes:
    return number(random.choice(_NUMBERS))


def _name(random: Random) -> bytes:
    return random.choice(_NAMES)


def _memo(random: Random) -> bytes:
    return random.choice((b"h", b"q")) + struct.pack("B", random.randrange(256))


def _drawn(random: Random) -> bytes:
    ways = (_text, _number, _name, _memo, lambda random: random.choice(_OTHERS))
    return random.choice(ways)(random)


_CHANGES: Final[tuple[Callable[[Random, Instructions], None], ...]] = (
    *(_delete, _insert, _replace, _swap, _copy),
    *(_other_argument,) * 3,
)
