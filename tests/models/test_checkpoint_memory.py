"""Loading in little memory: what was read is given back while the network is made."""

import gc
import json
import mmap
import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from sigmoid_models.checkpoint import (
    CheckpointError,
    FileBytes,
    load_checkpoint,
    read_bytes,
)
from sigmoid_models.checkpoint_tensors import make_layers, mark_last_uses
from sigmoid_models.files import stored
from sigmoid_models.files.regular_file import read_pages
from sigmoid_models.files.stored import Stored
from sigmoid_models.intake.modules import Module
from sigmoid_models.intake.named import Named

SIGMOID = Named(activation=("sigmoid",))

# For each file the peak of its memory, as a multiple of the file, then what is left.
MEASURE: Final = """
import json, sys, threading, time
from dataclasses import replace
from pathlib import Path

import torch

from sigmoid_models.checkpoint import load_checkpoint, read_bytes
from sigmoid_models.intake.named import Named


def private():
    text = Path("/proc/self/status").read_text()
    return 1024 * int(text.partition("RssAnon:")[2].split()[0])


def watch():
    while not done.is_set():
        seen.append(private())
        time.sleep(0.001)


torch.set_num_threads(1)
sigmoid = Named(activation=("sigmoid",))
small, *paths = map(Path, sys.argv[1:])
load_checkpoint(small)
for path in paths:
    named = replace(sigmoid, batchnorm="before") if path.stem == "normed" else sigmoid
    seen, done = [], threading.Event()
    watcher = threading.Thread(target=watch)
    watcher.start()
    before, size = private(), path.stat().st_size
    content = read_bytes(path)
    held = private() - before
    loaded = load_checkpoint(path, content, named=named, is_last_use=True)
    done.set()
    watcher.join()
    after, peak = private() - before, max(seen) - before
    print(json.dumps([path.name, *(each / size for each in (held, peak, after))]))
    del loaded, content
"""


def wide(dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Return a network almost all of whose numbers are in one layer of 64 MiB."""
    return {
        "0.weight": torch.rand(2**12, 2**12, dtype=dtype),
        "0.bias": torch.rand(2**12, dtype=dtype),
        "2.weight": torch.rand(3, 2**12, dtype=dtype),
        "2.bias": torch.rand(3, dtype=dtype),
    }


def normed() -> dict[str, Tensor]:
    modules: OrderedDict[str, nn.Module] = OrderedDict(
        {
            "0": nn.Linear(2**12, 2**12),
            "1": nn.BatchNorm1d(2**12),
            "3": nn.Linear(2**12, 3),
        }
    )
    return dict(nn.Sequential(modules).state_dict())


def transposed() -> dict[str, Tensor]:
    return {**wide(), "0.weight": torch.rand(2**12, 2**12).t()}


def test_the_peak_of_large_files(tmp_path: Path) -> None:
    """A float16 becomes a float32, so that the network takes twice the file."""
    torch.save(nn.Linear(3, 3).state_dict(), tmp_path / "small.pt")
    made: dict[str, Callable[[], dict[str, Tensor]]] = {
        "wide": wide,
        "normed": normed,
        "transposed": transposed,
        "half": lambda: wide(torch.float16),
        "bfloat": lambda: wide(torch.bfloat16),
    }
    for name, make in made.items():
        torch.save(make(), tmp_path / f"{name}.pt")
    safetensors.torch.save_file(wide(), tmp_path / "wide.safetensors")
    paths = sorted(tmp_path.iterdir(), key=lambda path: path.name != "small.pt")
    outcome = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert len(lines) == 6
    for name, held, peak, after in lines:
        network = 2 if name in ("half.pt", "bfloat.pt") else 1
        assert 0.9 < held < 1.1, name
        assert network - 0.1 < peak < network + 0.35, name
        assert network - 0.1 < after < network + 0.1, name


def tied() -> dict[str, Tensor]:
    """Return layers that share all their numbers, or half of them, or every other."""
    numbers = torch.rand(2, 96, 64)
    both = torch.rand(64, 128)
    return {
        "fc0.weight": numbers[0, :64],
        "fc1.weight": numbers.view(-1)[48 * 64 :][: 64 * 64].view(64, 64),
        "fc2.weight": numbers[0, :64],
        "fc3.weight": both[:, ::2],
        "fc4.weight": both[:, 1::2],
        "fc5.weight": torch.rand(64, 64).t(),
        "fc6.weight": torch.rand(64, 64),
    }


@pytest.mark.parametrize("is_archive", [True, False])
def test_what_layers_share_is_not_given_back(
    tmp_path: Path, is_archive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_PIECE", 2**10)
    path = tmp_path / "model.pt"
    tensors = tied()
    torch.save(tensors, path, _use_new_zipfile_serialization=is_archive)
    content = read_bytes(path)
    loaded = load_checkpoint(path, content, named=SIGMOID, is_last_use=True)
    found = [p for n, p in loaded.network.named_parameters() if n.endswith("weight")]
    for weight, tensor in zip(found, tensors.values(), strict=True):
        assert torch.equal(weight, tensor)


def drawn(random: Random, elements: int) -> Stored:
    """Draw a matrix somewhere in a storage: in rows or columns, with gaps, repeated."""
    rows, columns = random.randint(1, 90), random.randint(1, 90)
    strides = random.choice(
        [(columns, 1), (1, rows), (2 * columns, 2), (1, 1), (0, 1), (3, rows + 5)]
    )
    made = Stored(
        random.choice(["float32", "float64", "float16", "bfloat16"]),
        (rows, columns),
        strides,
        elements=elements,
        start=8 * random.randint(0, 99),
        is_swapped=random.random() < 0.2,
    )
    span = (rows - 1) * strides[0] + (columns - 1) * strides[1] + 1
    made.first = random.randint(0, elements - span)
    return made


@pytest.mark.parametrize("seed", range(40))
def test_giving_back_changes_no_number(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Layers of any layout, some of which overlap: each as from plain bytes."""
    monkeypatch.setattr(stored, "_PIECE", 2**9)
    random = Random(seed)
    size = 2**21 if seed % 2 else 2**20
    content = np.random.default_rng(seed).integers(0, 0x38, size, np.uint8).tobytes()
    path = tmp_path / "file"
    path.write_bytes(content)
    weights = [drawn(random, size // 8 - 100) for _ in range(8)]
    weights += [random.choice(weights) for _ in range(seed % 3)]
    modules = [
        Module(str(n), "linear", {"weight": each}) for n, each in enumerate(weights)
    ]
    want = make_layers(path, modules, [], content)
    assert not any(each.is_last_use for each in weights)
    mark_last_uses(modules, [])
    pages = read_pages(path, size)
    for one, two in zip(make_layers(path, modules, [], pages), want, strict=True):
        assert torch.equal(one.weight, two.weight)
    # Whatever no tensor has is as it was.
    kept = np.ones(size, bool)
    for each in weights:
        if each.is_last_use:
            kept[each.place_in_file.start : each.place_in_file.stop] = False
    now, then = np.frombuffer(pages, np.uint8), np.frombuffer(content, np.uint8)
    assert (now[kept] == then[kept]).all()


def saved(path: Path, **changes: Tensor) -> FileBytes:
    torch.save({**nn.Linear(64, 64).state_dict(), **changes}, path)
    return read_bytes(path)


def test_what_was_given_back_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    content = saved(path)
    assert isinstance(content, mmap.mmap)
    load_checkpoint(path, content, is_last_use=True)
    with pytest.raises(ValueError, match="closed"):
        content[:8]
    with pytest.raises(ValueError, match="closed"):
        load_checkpoint(path, content)
    bad = saved(path, bias=torch.full((64,), torch.nan))
    with pytest.raises(CheckpointError, match="NaN"):
        load_checkpoint(path, bad, is_last_use=True)
    with pytest.raises(ValueError, match="closed"):
        load_checkpoint(path, bad, is_last_use=True)


def test_what_is_needed_again_stays(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    content = saved(path)
    first = load_checkpoint(path, content)
    assert content[:] == path.read_bytes()
    second = load_checkpoint(path, content[:], is_last_use=True)
    third = load_checkpoint(path, content, sha256=first.sha256, is_last_use=True)
    for other in (second, third):
        assert other.sha256 == first.sha256
        for one, two in zip(
            first.network.parameters(), other.network.parameters(), strict=True
        ):
            assert torch.equal(one, two)


def test_no_memory_while_a_view_of_the_file_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is that of the memory, and what was read is let go all the same."""
    path = tmp_path / "model.pt"
    content = saved(path)

    def fail(*args: object, **kwargs: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "copyto", fail)
    with pytest.raises(MemoryError):
        load_checkpoint(path, content, is_last_use=True)
    with pytest.raises(ValueError, match="closed"):
        content[:8]


def test_a_file_that_is_cut_off_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.pt"
    content = saved(path)
    make = mmap.mmap

    def cut(*args: int, **kwargs: int) -> mmap.mmap:
        os.truncate(path, 4096)
        return make(*args, **kwargs)

    monkeypatch.setattr(mmap, "mmap", cut)
    with pytest.raises(CheckpointError, match="it changed while it was read"):
        read_bytes(path)
    assert load_checkpoint(path, content).card.architecture.features == 64


def test_the_memory_goes_with_the_last_reference(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"x" * 2**25)

    def mapped() -> int:
        text = Path("/proc/self/status").read_text(encoding="ascii")
        return 1024 * int(text.partition("RssAnon:")[2].split()[0])

    before = mapped()
    content = read_bytes(path)
    view = np.frombuffer(content, np.uint8)
    assert mapped() - before > 2**24
    del content, view
    gc.collect()
    assert mapped() - before < 2**22
