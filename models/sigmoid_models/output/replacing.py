"""Files that are written all or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write, which takes the place of `path` at the end.

    It lies beside `path` until then. Where anything is raised, it is removed, and what
    was at `path` is as it was. Of a link, the file that it points to is replaced; the
    permissions of an old file are those of the new one.

    Args:
        path: A regular file, or nothing yet, in a folder that exists.

    Raises:
        OSError: The file could not be written.
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            beside.chmod(target.stat().st_mode & 0o777)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
