"""The two layouts of `torch.save`: an archive, or pickles in a row.

The names and shapes stand in a pickle; the numbers lie beside it, uncompressed. That
both agree is checked; no number is copied.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from sigmoid_models.files.pickles import Pickles
from sigmoid_models.files.regular_file import FileBytes
from sigmoid_models.files.stored import FormatError, Stored
from sigmoid_models.files.zip_directory import Part, read_directory

ARCHIVE: Final = b"PK\3\4"

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001
_MOST_BYTES: Final = 2**25


def is_archive(content: FileBytes) -> bool:
    """Tell whether a file is an archive, by its first bytes."""
    return content[: len(ARCHIVE)] == ARCHIVE


def pickle_names(parts: Mapping[str, Part]) -> list[str]:
    """Return the names of the pickles in an archive; `torch.save` writes one."""
    return [n for n in parts if n.count("/") == 1 and n.endswith("/data.pkl")]


def read_strictly(content: FileBytes) -> object:
    """Describe what was saved; all its tensors have their place in the file.

    Raises:
        FormatError: It is no whole file of `torch.save`.
        PickledObjectError: It holds something else than tensors and containers.
    """
    if is_archive(content):
        return _read_archive(content)
    return _read_row(content)


def read_tolerantly(content: FileBytes) -> object:
    """Describe what was saved, foreign objects too; tensors have no place.

    Raises:
        FormatError: It is no whole file of `torch.save`.
    """
    if is_archive(content):
        return _archived(content, read_directory(content), is_tolerant=True)[1].read()
    pickles = Pickles(content, 0, len(content), is_tolerant=True)
    _pass_head(pickles)
    return pickles.read()


def _archived(
    content: FileBytes, parts: Mapping[str, Part], *, is_tolerant: bool = False
) -> tuple[str, Pickles]:
    """Find the folder and the pickle of an archive."""
    names = pickle_names(parts)
    if len(names) != 1:
        raise FormatError("an archive without one data.pkl")
    part = parts[names[0]]
    if not part.is_plain:
        raise FormatError("an archive whose parts are compressed or encrypted")
    if part.size > _MOST_BYTES:
        raise FormatError(f"a pickle of {part.size} bytes, more than {_MOST_BYTES}")
    stop = part.start + part.size
    pickles = Pickles(content, part.start, stop, is_tolerant=is_tolerant)
    return names[0].partition("/")[0], pickles


def _read_archive(content: FileBytes) -> object:
    parts = read_directory(content)
    folder, pickles = _archived(content, parts)
    saved = pickles.read()
    places = _places(parts, f"{folder}/data/", pickles.storages)
    is_swapped = _is_swapped(content, parts.get(f"{folder}/byteorder"))
    _place(pickles.tensors, places, is_swapped)
    return saved


def _places(
    parts: Mapping[str, Part], folder: str, storages: Mapping[str, int]
) -> dict[str, int]:
    """Find where each storage lies, and that it is as long as the pickle says."""
    places = {}
    for key, size in storages.items():
        part = parts.get(f"{folder}{key}")
        if part is None or part.size != size:
            raise FormatError("a storage that is not there, or not as long as it says")
        if not part.is_plain:
            raise FormatError("a storage that is compressed or encrypted")
        places[key] = part.start
    return places


def _is_swapped(content: FileBytes, part: Part | None) -> bool:
    order = content[part.start : part.start + min(part.size, 8)] if part else b"little"
    if order not in (b"little", b"big"):
        raise FormatError("an archive of an unknown byte order")
    return order == b"big"


def _pass_head(pickles: Pickles) -> None:
    """Pass over the three pickles before that of the tensors."""
    if pickles.read() != _MAGIC or pickles.read() != _PROTOCOL:
        raise FormatError("a pickle that torch.save did not write")
    pickles.read()  # about the machine


def _read_row(content: FileBytes) -> object:
    """Read what PyTorch wrote before 1.6: five pickles, then storage after storage."""
    pickles = Pickles(content, 0, len(content))
    _pass_head(pickles)
    saved = pickles.read()
    storages, tensors = pickles.storages, pickles.tensors
    keys = pickles.read()
    if not isinstance(keys, list) or {*map(str, keys)} != storages.keys():
        raise FormatError("a list of other storages than there are")
    places, at = {}, pickles.at
    for key in map(str, keys):
        # A number of elements, of eight bytes, stands before them.
        places[key] = at + 8
        at += 8 + storages[key]
    if at > len(content):
        raise FormatError("a storage that is not there: the file is cut off")
    _place(tensors, places)
    return saved


def _place(
    tensors: Iterable[Stored], places: Mapping[str, int], is_swapped: bool = False
) -> None:
    for tensor in tensors:
        # What is placed has no key any more; a tensor may come again.
        if tensor.key:
            tensor.place_at(places[tensor.key], is_swapped=is_swapped)
