"""A stamp of a file, to notice that it was changed or replaced."""

from pathlib import Path


def file_stamp(path: Path) -> object:
    """Return a value that changes when the file does; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_size,
        status.st_dev,
        status.st_ino,
    )
