"""A disk that is full while a checkpoint is written."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from faulting.findings import Finding
from faulting.load import Tally
from faulting.scene import Scene

_TRAIN: Final = ("train", "iris", "--epochs", "2", "--output")
_DISK_BYTES: Final = 64 * 1024
_FILE_BYTES: Final = 1024
_SECONDS: Final = 120


def disk_full(scene: Scene) -> list[Finding]:
    """Train where the checkpoint cannot be written; the old one must survive."""
    scene.show("disk-full")
    limited = scene.folder / "limited"
    limited.mkdir()
    prefix = ("prlimit", f"--fsize={_FILE_BYTES}")
    findings = [_train("disk-full, file size limited", limited, prefix)]
    with _small_disk(scene.folder / "small") as folder:
        if folder:
            findings.append(_train("disk-full, tmpfs", folder, ()))
        else:
            findings[0].note += "; no tmpfs could be mounted"
    return findings


def _train(name: str, folder: Path, prefix: Sequence[str]) -> Finding:
    path = folder / "iris.safetensors"
    old = _run(path, ())
    content = path.read_bytes() if old.returncode == 0 else b""
    if not prefix:
        _fill(folder / "filler")
    before = sorted(entry.name for entry in folder.iterdir())
    ended = _run(path, prefix)
    last = (ended.stderr.strip().splitlines() or [""])[-1]
    finding = Finding(name, Tally(), note=last[:160])
    finding.require("the first training works", old.returncode, old.returncode == 0)
    finding.require("exit code 1", ended.returncode, ended.returncode == 1)
    is_whole = path.is_file() and path.read_bytes() == content
    finding.require("the old file survives", is_whole, is_whole)
    after = sorted(entry.name for entry in folder.iterdir())
    finding.require("no other file is left", after, after == before)
    is_told = last.startswith("sigmoid-serve: ") and "Traceback" not in ended.stderr
    finding.require("it says why in one sentence", last[:160], is_told)
    finding.require("the sentence names the file", last[:160], path.name in last)
    finding.tally.offered = 1
    finding.tally.refused = Counter({"OSError": 1} if ended.returncode == 1 else {})
    return finding


def _run(path: Path, prefix: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    command = [*prefix, sys.executable, "-B", "-m", "sigmoid_serve", *_TRAIN, str(path)]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SIGMOID_")
    }
    return subprocess.run(
        command,
        cwd=path.parent,  # `python -m` would import from the present folder
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


def _fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 512):
                pass
        except OSError:
            return


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """Mount a tmpfs of a few pages, where this is allowed."""
    folder.mkdir()
    options = ("mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs")
    mounted = subprocess.run([*options, folder], capture_output=True, check=False)
    if mounted.returncode != 0:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
