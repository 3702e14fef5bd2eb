"""Which process listens on a port of this machine, as far as the system tells."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from sigmoid_serve.errors import shown

# The state of a socket that listens, in the tables of proc(5).
_LISTENS: Final = "0A"


def port_owner(port: int, root: Path = Path("/proc")) -> str:
    """Name the process that listens on a port; empty if it cannot be seen."""
    inodes = {f"socket:[{inode}]" for inode in _inodes(port, root)}
    for process in root.glob("[0-9]*") if inodes else ():
        if not inodes.isdisjoint(_links(process / "fd")):
            with suppress(OSError):  # it has ended
                words = (process / "cmdline").read_bytes().split(b"\0")
                command = b" ".join(words).decode(errors="replace").strip()
                return f"process {process.name} ({shown(command)})"
    return ""


def _links(folder: Path) -> Iterator[str]:
    try:
        for each in folder.iterdir():
            with suppress(OSError):  # it was closed meanwhile
                yield os.readlink(each)
    except OSError:  # it has ended, or is not ours
        return


def _inodes(port: int, root: Path) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = (root / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]
