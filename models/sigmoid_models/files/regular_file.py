"""Regular files, checked before they are read: no pipe, no device, none too large.

A path may name a pipe that nobody writes to, or a device without an end, and may name
another file a moment later. So the file is opened without waiting, and the open
descriptor is checked and read.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import IO


@contextmanager
def open_regular(path: Path, max_bytes: int) -> Iterator[IO[bytes]]:
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
    with open_regular(path, max_bytes) as file:
        before = os.fstat(file.fileno())
        content = file.read(before.st_size)
        is_whole = len(content) == before.st_size and not file.read(1)
        after = os.fstat(file.fileno())
    if not is_whole or after.st_mtime_ns != before.st_mtime_ns:
        raise OSError(errno.EAGAIN, "it changed while it was read")
    return content


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
