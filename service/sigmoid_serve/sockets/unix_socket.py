"""Listening on a Unix socket, for a proxy on the same machine."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, flock
from pathlib import Path
from socket import AF_UNIX, socket
from stat import S_ISSOCK

from sigmoid_serve.configuration.settings import SettingsError


def listen_at(path: Path, backlog: int, setting: str = "SIGMOID_UDS") -> socket:
    """Listen on a path; the socket's file is removed when the process exits.

    The umask and the folder decide who may connect. A file that a dead server left
    behind is replaced.

    Args:
        path: Where.
        backlog: See listen(2).
        setting: That named the path, for errors.

    Raises:
        SettingsError: Something else is there: a running server, or another file.
        OSError: The folder or the path cannot be used.
    """
    with _locked(path.parent):
        if is_left_over(path, setting):
            path.unlink()
        listener = socket(AF_UNIX)
        listener.bind(str(path))
        listener.listen(backlog)
    atexit.register(_remove, path, _identity(path))
    return listener


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes from replacing the same file at the same time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # not every file system has locks
            flock(descriptor, LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_left_over(path: Path, setting: str = "SIGMOID_UDS") -> bool:
    """Whether a dead server has left a socket's file at a path.

    Args:
        path: Where.
        setting: That named it, for errors.

    Raises:
        SettingsError: Something else is there: a running server, or another file.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not S_ISSOCK(mode):
        raise SettingsError(
            f"{setting}: expected a path where nothing is, {path} is there and is no "
            "socket; remove it, or choose another path"
        )
    with socket(AF_UNIX) as caller:
        caller.setblocking(False)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            return True
        except BlockingIOError:  # a server listens, and its backlog is full
            pass
    raise SettingsError(
        f"{setting}: expected a path where nobody listens, at {path} a server does; "
        "end it, or choose another path"
    )


def _identity(path: Path) -> tuple[int, int, int]:
    # An inode number may be used again: the time tells the files apart.
    status = path.lstat()
    return (status.st_dev, status.st_ino, status.st_mtime_ns)


def _remove(path: Path, identity: tuple[int, int, int]) -> None:
    """Remove the file, unless it belongs to the next server by now."""
    with suppress(OSError):
        if _identity(path) == identity:
            path.unlink()
