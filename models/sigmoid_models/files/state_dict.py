"""What `torch.save` writes, read without PyTorch: an archive, or pickles in a row.

The names and shapes stand in a pickle; the numbers lie beside it, uncompressed. That
both agree is checked; no number is copied.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from sigmoid_models.files.pickle_values import Pairs, PickledObjectError
from sigmoid_models.files.pickles import Pickles
from sigmoid_models.files.stored import FormatError, Stored
from sigmoid_models.files.zip_directory import Part, read_directory

Place = Callable[[Stored], Stored]

_ARCHIVE: Final = b"PK\3\4"
_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001
_MOST_BYTES: Final = 2**25


def read_saved(content: bytes) -> object:
    """Describe what was saved; its tensors are `Stored`, its dictionaries `Pairs`.

    Only tensors that stand in the outermost dictionary are given their place.

    Raises:
        FormatError: It is no whole file of `torch.save`.
        PickledObjectError: It holds something else than tensors and containers.
    """
    is_archive = content[: len(_ARCHIVE)] == _ARCHIVE
    saved, place = (_read_archive if is_archive else _read_row)(content)
    if not isinstance(saved, Pairs):
        return saved
    return Pairs(
        (name, place(value) if isinstance(value, Stored) and value.key else value)
        for name, value in saved
    )


def _read_archive(content: bytes) -> tuple[object, Place]:
    parts = read_directory(content)
    folders = [name.partition("/")[0] for name in parts if _is_pickle(name)]
    if any(name.endswith("/constants.pkl") for name in parts):
        raise PickledObjectError("TorchScript")
    if len(folders) != 1:
        raise FormatError("an archive without one data.pkl")
    part = parts[f"{folders[0]}/data.pkl"]
    if not part.is_plain:
        raise FormatError("an archive whose parts are compressed or encrypted")
    if part.size > _MOST_BYTES:
        raise FormatError(f"a pickle of {part.size} bytes, more than {_MOST_BYTES}")
    pickles = Pickles(content, part.start, part.start + part.size)
    saved = pickles.read()
    places = _places(parts, f"{folders[0]}/data/", pickles.storages)
    is_swapped = _is_swapped(content, parts.get(f"{folders[0]}/byteorder"))
    return saved, lambda stored: replace(
        stored, start=stored.start + places[stored.key], is_swapped=is_swapped
    )


def _is_pickle(name: str) -> bool:
    return name.count("/") == 1 and name.endswith("/data.pkl")


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


def _is_swapped(content: bytes, part: Part | None) -> bool:
    order = content[part.start : part.start + min(part.size, 8)] if part else b"little"
    if order not in (b"little", b"big"):
        raise FormatError("an archive of an unknown byte order")
    return order == b"big"


def _read_row(content: bytes) -> tuple[object, Place]:
    """Read what PyTorch wrote before 1.6: five pickles, then storage after storage."""
    pickles = Pickles(content, 0, len(content))
    if pickles.read() != _MAGIC or pickles.read() != _PROTOCOL:
        raise FormatError("a pickle that torch.save did not write")
    pickles.read()  # about the machine
    saved = pickles.read()
    storages = pickles.storages
    keys = pickles.read()
    if not isinstance(keys, list) or {*map(str, keys)} != storages.keys():
        raise FormatError("a list of other storages than there are")
    places, at = {}, pickles.at
    for key in map(str, keys):
        # A number of elements, of eight bytes, stands before them.
        places[key] = at + 8
        at += 8 + storages[key]
    if at > len(content):
        raise FormatError("a storage that is not there")
    return saved, lambda stored: replace(
        stored, start=stored.start + places[stored.key]
    )
