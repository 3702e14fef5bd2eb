"""Listening on a path of the file system, as a proxy on the same machine may ask."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, flock
from pathlib import Path
from socket import AF_UNIX, socket
from stat import S_ISSOCK

from sigmoid_serve.configuration.settings import SettingsError


def listen_at(path: Path, backlog: int) -> socket:
    """Listen at a path until the process ends, which removes the file.

    Who may connect follows from the umask and from the folder. What a server that has
    died left there is replaced.

    Raises:
        SettingsError: Something else is there: a server that lives, or a file.
        OSError: The folder or the path cannot be used.
    """
    with _alone_in(path.parent):
        if _is_left_over(path):
            path.unlink()
        listener = socket(AF_UNIX)
        listener.bind(str(path))
        listener.listen(backlog)
    atexit.register(_remove, path, _identity(path))
    return listener


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep out others who would replace the same file at the same time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # not every file system knows how
            flock(descriptor, LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_left_over(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not S_ISSOCK(mode):
        raise SettingsError(
            f"SIGMOID_UDS: expected a path where nothing is, {path} is there and is no "
            "socket; remove it, or choose another path"
        )
    with socket(AF_UNIX) as caller:
        caller.setblocking(False)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            return True
        except BlockingIOError:  # so many wait there already
            pass
    raise SettingsError(
        f"SIGMOID_UDS: expected a path where nobody listens, at {path} a server does; "
        "end it, or choose another path"
    )


def _identity(path: Path) -> tuple[int, int, int]:
    # Numbers of files are used again.
    status = path.lstat()
    return (status.st_dev, status.st_ino, status.st_mtime_ns)


def _remove(path: Path, identity: tuple[int, int, int]) -> None:
    """Remove the file, unless it is of the next server by now."""
    with suppress(OSError):
        if _identity(path) == identity:
            path.unlink()
