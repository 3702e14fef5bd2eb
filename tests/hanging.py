"""Checkpoints that a process cannot get done with, and worker channels that fail."""

import os
from pathlib import Path

import safetensors.torch
import torch

from sigmoid_models.classifier import Classifier

# Python imports it in each process that finds it on PYTHONPATH. To hash a checkpoint,
# which is done where it is read, and to parse its header, which is done where it is
# loaded, stand in for a disk, or a computation, that does not come to its end.
_HOOK = """
import hashlib, json, os, pickle, sys, time
is_worker = "--multiprocessing-fork" in sys.orig_argv
def hashed(data=b"", make=hashlib.sha256, **options):
    if b"hang anywhere" in bytes(data[:1000]):
        open({hangs!r}, "w").close()
        time.sleep(3000)
    return make(data, **options)
hashlib.sha256 = hashed
def parsed(text, make=json.loads, **options):
    if is_worker and "hang in workers" in str(text[:1000]):
        time.sleep(3000)
    return make(text, **options)
json.loads = parsed
def loads(data, make=pickle.loads, **options):
    if is_worker and os.path.exists({mark!r}):
        with open({mark!r}, "rb") as mark:
            message = mark.read()
        if message and message in data:
            raise RuntimeError("injected")
    return make(data, **options)
pickle.loads = loads
"""


def hook(folder: Path) -> tuple[Path, dict[str, str]]:
    """Have marked checkpoints hang, and the channels of workers fail.

    Args:
        folder: Where the hook goes.

    Returns:
        The mark, and the variables of the service. While the mark is there and names a
        kind of messages, a channel fails at each of them. A file `hangs` appears beside
        it when a process begins to hang where it reads a checkpoint.
    """
    mark = folder / "mark"
    text = _HOOK.format(mark=str(mark), hangs=str(folder / "hangs"))
    (folder / "sitecustomize.py").write_text(text)
    return mark, {"PYTHONPATH": python_path(folder)}


def python_path(folder: Path) -> str:
    """Have a folder come before all others that Python looks for modules in."""
    return os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))


def put_hanging(path: Path, where: str) -> None:
    """Put a checkpoint in place that hangs, `anywhere` or only `in workers`."""
    network = Classifier(4, 5, 3)
    partial = path.with_name(f".{path.name}")
    state = dict(network.state_dict())
    safetensors.torch.save_file(state, partial, {"note": f"hang {where}"})
    os.replace(partial, path)


def put_large(path: Path, hidden: int) -> None:
    """Put a checkpoint in place of 16 bytes for each hidden unit."""
    partial = path.with_name(f".{path.name}")
    state = {
        "fc1.weight": torch.zeros(hidden, 1),
        "fc1.bias": torch.zeros(hidden),
        "fc2.weight": torch.zeros(2, hidden),
        "fc2.bias": torch.zeros(2),
    }
    safetensors.torch.save_file(state, partial)
    os.replace(partial, path)
