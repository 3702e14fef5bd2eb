"""The directory of a zip archive as `torch.save` writes it: what lies where.

PyTorch stores what it saves as it is. So nothing is inflated, and as no two parts may
share a byte, an archive has no more in it than it has bytes.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from sigmoid_models.files.regular_file import FileBytes
from sigmoid_models.files.stored import FormatError

MAX_PARTS: Final = 20_000

_END: Final = struct.Struct("<4s4H2LH")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_LONGEST_NAME: Final = 1024
_LONGEST_COMMENT: Final = 2**16
_UNKNOWN: Final = 2**32 - 1


class Part(NamedTuple):
    """A file in the archive.

    Attributes:
        start: Place of its first byte in the archive.
        size: Its length in the archive, in bytes.
        is_plain: Whether it lies there as it is, neither compressed nor encrypted.
    """

    start: int
    size: int
    is_plain: bool


class _Entry(NamedTuple):
    name: str
    header: int
    size: int
    is_plain: bool


def read_directory(content: FileBytes) -> dict[str, Part]:
    """Find the files in an archive, by their names.

    Raises:
        FormatError: It is no whole archive, or its parts share bytes or a name, or are
            too many.
    """
    count, start, stop = _directory_place(content)
    if count > MAX_PARTS:
        raise FormatError(f"an archive of {count} parts, more than {MAX_PARTS}")
    entries = sorted(_entries(content, count, start, stop), key=lambda e: e.header)
    parts: dict[str, Part] = {}
    free = 0
    for entry in entries:
        if entry.header < free:
            raise FormatError("an archive whose parts overlap")
        part = _part(content, entry)
        free = part.start + part.size
        if free > start:
            raise FormatError("an archive whose parts go beyond it")
        if parts.setdefault(entry.name, part) is not part:
            raise FormatError("an archive with two parts of one name")
    return parts


def _directory_place(content: FileBytes) -> tuple[int, int, int]:
    """Find the number of entries, and where they begin and end."""
    at = content.rfind(b"PK\5\6", max(0, len(content) - _LONGEST_COMMENT - _END.size))
    if at < 0 or at + _END.size > len(content):
        raise FormatError("an archive without its end: the file is cut off")
    _, disk, _, _, count, size, start, comment = _END.unpack_from(content, at)
    if at + _END.size + comment != len(content):
        raise FormatError("an archive with something behind its end")
    stop = at
    if at >= _LOCATOR.size and content[at - _LOCATOR.size :][:4] == b"PK\6\7":
        stop = _LOCATOR.unpack_from(content, at - _LOCATOR.size)[2]
        if stop + _END_64.size > at or content[stop : stop + 4] != b"PK\6\6":
            raise FormatError("an archive without its end")
        *_, disk, _, _, count, size, start = _END_64.unpack_from(content, stop)
    if disk or start + size != stop:
        raise FormatError("an archive whose directory is not before its end")
    return count, start, stop


def _entries(content: FileBytes, count: int, start: int, stop: int) -> Iterator[_Entry]:
    at = start
    for _ in range(count):
        if at + _ENTRY.size > stop:
            raise FormatError("an archive whose directory is cut off")
        fields = _ENTRY.unpack_from(content, at)
        flags, method, packed, size = fields[3], fields[4], fields[8], fields[9]
        named, extra, commented, header = *fields[10:13], fields[16]
        if fields[0] != b"PK\1\2" or named > _LONGEST_NAME:
            raise FormatError("an archive whose directory is damaged")
        names = at + _ENTRY.size
        at = names + named + extra + commented
        if at > stop:
            raise FormatError("an archive whose directory is cut off")
        name = content[names : names + named].decode("utf-8", "backslashreplace")
        wide = content[names + named : names + named + extra]
        size, packed, header = _widened(wide, [size, packed, header])
        is_plain = not (flags & 1 or method)
        if is_plain and size != packed:
            raise FormatError("an archive with a part of two sizes")
        yield _Entry(name, header, packed, is_plain)
    if at != stop:
        raise FormatError("an archive with more parts than it counts")


def _widened(extra: bytes, values: list[int]) -> list[int]:
    """Take from the field 1 what 32 bits could not hold (APPNOTE 4.5.3)."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        field = extra[at + 4 : at + 4 + size]
        if kind == 1:
            missing = [place for place, value in enumerate(values) if value == _UNKNOWN]
            if len(field) < 8 * len(missing):
                raise FormatError("an archive whose directory is damaged")
            for place, number in zip(missing, _numbers(field), strict=False):
                values[place] = number
            break
        at += 4 + size
    return values


def _numbers(field: bytes) -> Iterator[int]:
    return (number for (number,) in struct.iter_unpack("<Q", field[: len(field) & ~7]))


def _part(content: FileBytes, entry: _Entry) -> Part:
    """Find the bytes of an entry behind its own header, which must be its own."""
    if entry.header + _LOCAL.size > len(content):
        raise FormatError("an archive whose parts go beyond it")
    fields = _LOCAL.unpack_from(content, entry.header)
    start = entry.header + _LOCAL.size
    name = content[start : start + fields[9]].decode("utf-8", "backslashreplace")
    is_plain = not (fields[2] & 1 or fields[3])
    if (fields[0], name, is_plain) != (b"PK\3\4", entry.name, entry.is_plain):
        raise FormatError("an archive whose directory is not that of its parts")
    return Part(start + fields[9] + fields[10], entry.size, is_plain)
