"""Regular files, checked before they are read: no pipe, no device, none too large.

A path may name a pipe that nobody writes to, or a device without an end, and may name
another file a moment later. So the file is opened without waiting, and the open
descriptor is checked and read.

A large file is read into pages of its own, so that each can be given back as soon as
nobody needs it. They are a copy: to map the file itself would end the process once the
file is cut off.
"""

import errno
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from traceback import clear_frames
from typing import Final, TypeAlias, TypeVar

FileBytes: TypeAlias = bytes | mmap.mmap
"""All bytes of a file: as they are, or in pages that can be given back."""

_PAGES: Final = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS

Content = TypeVar("Content", bound=FileBytes)


@contextmanager
def open_regular(path: Path, max_bytes: int) -> Iterator[BufferedReader]:
    """Open a file that is a regular one, and not too large.

    Args:
        path: The path of the file; links are followed.
        max_bytes: The most bytes that it may have.

    Raises:
        OSError: It cannot be opened, is no regular file or is too large; `strerror`
            says which.
    """
    # To open a device may set it in motion.
    _check(os.stat(path), max_bytes)
    with open(path, "rb", opener=_without_waiting) as file:
        _check(os.fstat(file.fileno()), max_bytes)
        yield file


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Read all of a regular file, and no more than it had when it was opened.

    Args:
        path: See `open_regular`.
        max_bytes: See `open_regular`.

    Raises:
        OSError: See `open_regular`; or the file changed meanwhile.
    """
    return _read(path, max_bytes, lambda file, size: file.read(size))


def read_pages(path: Path, max_bytes: int) -> FileBytes:
    """Read a file as `read_regular` does, into pages that can be given back.

    Args:
        path: See `open_regular`.
        max_bytes: See `open_regular`.

    Raises:
        MemoryError: There is not as much memory.
        OSError: See `read_regular`.
    """
    return _read(path, max_bytes, _in_pages)


def give_back(content: FileBytes, start: int, stop: int) -> int:
    """Give back the memory of some bytes, which are zeros from then on.

    Only whole pages are, so that no byte outside is touched.

    Args:
        content: All bytes of a file; of plain `bytes` nothing is given back.
        start: Offset of the first byte.
        stop: Offset behind the last.

    Returns:
        From where on nothing was given back.
    """
    size = mmap.PAGESIZE
    first, last = -(-start // size) * size, stop // size * size
    if isinstance(content, bytes) or first >= last:
        return start
    # Memory that is locked stays.
    with suppress(OSError):
        content.madvise(mmap.MADV_DONTNEED, first, last - first)
    return last


@contextmanager
def last_use(content: FileBytes) -> Iterator[None]:
    """Give back all pages at the end; who reads them later gets an error, no zeros."""
    try:
        yield
    except BaseException as error:
        # What failed may hold a view of them.
        clear_frames(error.__traceback__)
        raise
    finally:
        if not isinstance(content, bytes):
            content.close()


def _read(
    path: Path, max_bytes: int, read: Callable[[BufferedReader, int], Content]
) -> Content:
    with open_regular(path, max_bytes) as file:
        before = os.fstat(file.fileno())
        content = read(file, before.st_size)
        is_whole = len(content) == before.st_size and not file.read(1)
        after = os.fstat(file.fileno())
    if not is_whole or after.st_mtime_ns != before.st_mtime_ns:
        raise OSError(errno.EAGAIN, "it changed while it was read")
    return content


def _in_pages(file: BufferedReader, size: int) -> FileBytes:
    if not size:
        return b""
    try:
        content = mmap.mmap(-1, size, flags=_PAGES)
    except OSError:
        raise MemoryError from None
    return content if file.readinto(content) == size else b""


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)


def _check(status: os.stat_result, max_bytes: int) -> None:
    if S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    if status.st_size > max_bytes:
        raise OSError(
            errno.EFBIG, f"it has {status.st_size} bytes, more than {max_bytes}"
        )
