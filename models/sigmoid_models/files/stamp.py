"""How to see that a file is not the one that was read."""

from pathlib import Path


def file_stamp(path: Path) -> object:
    """Return what differs once a file was changed or replaced; None without a file."""
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
