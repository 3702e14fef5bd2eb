"""Files that would take much more than they are: each is refused for what it takes."""

import gc
import io
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import perf_counter

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from fuzzing.checkpoints import LEAST_PEAK, MESSAGE_CHARACTERS, peak_fault
from fuzzing.files.bombs import BOMBS, suffix_of
from fuzzing.files.parts import archive, legacy, state, tensor
from fuzzing.memory import MIB, peak_bytes
from sigmoid_models.checkpoint import CheckpointError, load_checkpoint
from sigmoid_models.classifier import Classifier, DeepClassifier, sequential
from sigmoid_models.intake.named import Named

SIGMOID = Named(activation=("sigmoid",))

# What it takes at most on a machine that has something else to do, too.
SECONDS = 10.0

DAMAGED = "not a whole file of weights"
LONG = "a pickle of more than 500000 steps"
THERE = "a storage that is not there, or not as long as it says"
NOTHING = "no weights of linear layers are in it: it holds nothing"
COMPRESSED = "an archive whose parts are compressed or encrypted"

REFUSALS: dict[str, tuple[str, ...]] = {
    "pickle of marks": (DAMAGED,),
    "pickle of lists": ("it holds a list", LONG),
    "pickle of lists in lists": ("it holds a list", LONG),
    "pickle of dictionaries": (NOTHING, LONG),
    "pickle of sets": ("it holds a set", LONG),
    "pickle of tuples in tuples": ("it holds a tuple", LONG),
    "pickle of tuples doubled": ("it holds a tuple", LONG),
    "pickle of calls": (NOTHING, LONG),
    "pickle of texts": ("it holds a str",),
    "pickle of wide texts": ("it holds a str",),
    "pickle of one text": ("it holds a str",),
    "pickle of a text that ends late": ("a pickle that is cut off",),
    "pickle of numbers": ("it holds a int", LONG),
    "pickle of a number of gigabytes": ("with the instruction 0x8b",),
    "pickle of a frame of exabytes": ("with the instruction 0x95",),
    "pickle of a far memo": ("a pickle that keeps more than it can have",),
    "pickle of a memo": (NOTHING,),
    "pickle of items": ("it holds only 1, 1, 1", LONG),
    "tensor without strides": ("claims more elements than the file holds",),
    "tensor beyond its storage": ("claims more elements than the file holds",),
    "tensor of negative strides": ("a length or a place that is no number",),
    "tensor of much and nothing": ("where a linear layer has [out, in]",),
    "tensor of many dimensions": ("a shape that is no list of at most 32 numbers",),
    "tensor of a large storage": (THERE,),
    "tensor of a storage that is not there": (THERE,),
    "tensors of one storage": ("its tensors share their numbers, and would take",),
    "archive inflated": ("a storage that is compressed", COMPRESSED),
    "archive with an inflated pickle": (COMPRESSED,),
    "archive overlapping": ("an archive whose parts overlap",),
    "archive of many parts": ("parts, more than 20000",),
    "archive encrypted": ("an archive whose directory is not that of its parts",),
    "archive of a larger size": ("an archive with a part of two sizes",),
    "archive of larger sizes": ("an archive whose parts go beyond it",),
    "archive without its sizes": ("an archive whose parts go beyond it",),
    "archive of a far part": ("an archive whose parts go beyond it",),
    "archive with another end": ("an archive ",),
    "archive in an archive": ("an archive ",),
    "safetensors of another length": (DAMAGED,),
    "safetensors of spaces": (DAMAGED, NOTHING),
    "safetensors nested": ("a header that is no JSON: RecursionError", "bytes, more"),
    "safetensors of many tensors": ("layers, more than 1024",),
    "safetensors of the same bytes": ("tensors that do not follow each other",),
    "safetensors of 2^64 elements": (DAMAGED,),
    "safetensors of odd names": ("it holds only ", "no JSON"),
    "safetensors with a card of numbers": ("its card is", "more than 262144 numbers"),
    "safetensors with a card of rows": ("its card is", "its card has more than"),
    "safetensors with a card of entries": ("its card is", "more than 16384 entries"),
    "safetensors with a deep card": ("its card is not JSON", "more than 8192 rows"),
    "network of many layers": ("layers, more than 1024",),
    "network of thin layers": ("bytes to compute with, more than 268435456",),
}
# What these make may be small enough.
HARMLESS = ("archive with another end", "network of many layers")


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", BOMBS)
def test_bombs(tmp_path: Path, name: str, seed: int) -> None:
    content = BOMBS[name](Random(seed))
    path = tmp_path / f"model{suffix_of(name)}"
    path.write_bytes(content)
    message = ""
    start = perf_counter()
    with peak_bytes() as highest:
        try:
            load_checkpoint(path, named=SIGMOID)
        except CheckpointError as error:
            message = str(error)
        peak = highest()
    assert perf_counter() - start < SECONDS
    assert peak_fault(peak, len(content)) is None
    assert len(message) < MESSAGE_CHARACTERS
    assert message.isprintable()
    if message or name not in HARMLESS:
        assert any(words in message for words in REFUSALS[name]), message


def test_thin_layers(tmp_path: Path) -> None:
    """They are padded where they are computed, to sixteen times their size."""
    for width, is_served in ((2**19, True), (2**20, False), (2**21, False)):
        shapes = {"0.weight": (width, 1), "0.bias": (width,)}
        shapes |= {"2.weight": (1, width), "2.bias": (1,)}
        path = tmp_path / "model.pt"
        torch.save({name: torch.zeros(shape) for name, shape in shapes.items()}, path)
        if is_served:
            assert load_checkpoint(path, named=SIGMOID).card.architecture.sizes == (
                1,
                width,
                1,
            )
        else:
            with pytest.raises(CheckpointError, match="bytes to compute with"):
                load_checkpoint(path, named=SIGMOID)


def saved(tensors: dict[str, Tensor], kind: str) -> bytes:
    if kind == "safetensors":
        return safetensors.torch.save(tensors)
    file = io.BytesIO()
    torch.save(tensors, file, _use_new_zipfile_serialization=kind == "pt")
    return file.getvalue()


KINDS = ("safetensors", "pt", "pth")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
def test_memory_of_a_large_file(tmp_path: Path, kind: str, dtype: str) -> None:
    kind_of_number = getattr(torch, dtype)
    hidden = 6000 // kind_of_number.itemsize  # files of 30 MB
    network = Classifier(5000, hidden, 3).to(kind_of_number)
    path = tmp_path / f"model.{kind}"
    path.write_bytes(saved(dict(network.state_dict()), kind))
    load_checkpoint(path, named=SIGMOID)
    gc.collect()
    torch._C._log_api_usage_once("warm")
    with peak_bytes() as highest:
        loaded = load_checkpoint(path, named=SIGMOID)
        peak = highest()
    size = path.stat().st_size
    assert 3 * size > LEAST_PEAK
    assert peak < 3 * size + MIB
    assert torch.equal(
        loaded.network.get_parameter("fc1.bias"), network.float().fc1.bias
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_has_its_own_memory(tmp_path: Path, kind: str) -> None:
    network = Classifier(4, 5, 3)
    path = tmp_path / f"model.{kind}"
    content = saved(dict(network.state_dict()), kind)
    path.write_bytes(content)
    loaded = load_checkpoint(path, content, named=SIGMOID)
    start = np.frombuffer(content, np.uint8).ctypes.data
    for weight in loaded.network.state_dict().values():
        assert not start <= weight.data_ptr() < start + len(content)
    loaded = load_checkpoint(path, named=SIGMOID)
    path.write_bytes(b"\xff" * len(content))
    for name, weight in loaded.network.state_dict().items():
        assert torch.equal(weight, network.state_dict()[name])
    with Path("/proc/self/maps").open(encoding="utf-8") as maps:
        assert str(path) not in maps.read()


@pytest.mark.parametrize("kind", KINDS)
def test_as_many_layers_as_are_served(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"model.{kind}"
    path.write_bytes(saved(sequential([2] * 1025).state_dict(), kind))
    assert len(load_checkpoint(path, named=SIGMOID).card.architecture.sizes) == 1025
    path.write_bytes(saved(sequential([2] * 1026).state_dict(), kind))
    with pytest.raises(CheckpointError, match="it has 1025 layers, more than 1024"):
        load_checkpoint(path, named=SIGMOID)


def test_layers_that_share_their_weights(tmp_path: Path) -> None:
    """They may, as long as they are not many times the file."""
    network = DeepClassifier(4, 6, 3, 11)
    for layer in network.layers:
        layer.weight = network.layers[0].weight
    for kind in ("pt", "pth"):
        path = tmp_path / f"model.{kind}"
        path.write_bytes(saved(network.state_dict(), kind))
        loaded = load_checkpoint(path, named=SIGMOID).network.state_dict()
        assert torch.equal(loaded["layers.10.weight"], loaded["layers.0.weight"])


def test_storages_in_big_endian_order(tmp_path: Path) -> None:
    """As PyTorch writes them on other machines."""
    values = np.arange(4, dtype=">f4")
    tensors = {
        "0.weight": tensor([2, 1], [1, 1], 4),
        "0.bias": tensor([2], [1], 4, first=1),
        "2.weight": tensor([1, 2], [2, 1], 4, first=2),
        "2.bias": tensor([1], [1], 4, first=3),
    }
    content = archive(state(tensors), {"0": values.tobytes()})
    path = tmp_path / "model.pt"
    path.write_bytes(content.replace(b"little", b"big\0\0\0"))
    with pytest.raises(CheckpointError, match="an unknown byte order"):
        load_checkpoint(path, named=SIGMOID)
    path.write_bytes(
        archive(state(tensors), {"0": values.tobytes()}, order="big"),
    )
    weights = load_checkpoint(path, named=SIGMOID).network.state_dict()
    found = [weights[name].flatten().tolist() for name in tensors]
    assert found == [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0], [3.0]]


def one(**tensors: bytes) -> bytes:
    return state({name.replace("__", "."): each for name, each in tensors.items()})


def test_a_storage_of_two_sizes(tmp_path: Path) -> None:
    """The first size would be that of its memory, the second that of a tensor."""
    program = one(a=tensor([1], [1], 1), b=tensor([100], [1], 100))
    path = tmp_path / "model.pt"
    for content in (
        archive(program, {"0": bytes(4)}),
        legacy(program, {"0": bytes(4)}),
    ):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="a storage of two sizes"):
            load_checkpoint(path, named=SIGMOID)


def test_an_item_of_what_is_no_dictionary(tmp_path: Path) -> None:
    """PyTorch before 2.10 wrote beyond its memory there (CVE-2026-24747)."""
    path = tmp_path / "model.pt"
    path.write_bytes(archive(b"\x80\x02" + tensor([1], [1], 100) + b"J\0\0\0\0Ns."))
    with pytest.raises(CheckpointError, match="sets an item of no dictionary"):
        load_checkpoint(path, named=SIGMOID)


@pytest.mark.parametrize(
    "change",
    [
        # What made scanners give up where PyTorch went on: GHSA-w8jq-xcqf-f792,
        # GHSA-7q5r-7gvp-wc82, GHSA-769v-p64c-89pr.
        lambda made: made.replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"),
        lambda made: made.replace(b"archive/data.pkl", b"archive/dota.pkl", 1),
        lambda made: made.replace(b"archive/data.pkl", b"archive/data.pkx"),
    ],
)
def test_what_passed_scanners(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    marker = tmp_path / "marker"
    command = f"touch {marker}".encode()
    program = (
        b"cposix\nsystem\n(X" + len(command).to_bytes(4, "little") + command + b"tR."
    )
    good = archive(b"\x80\x02" + program)
    made = change(good)
    assert made != good
    path = tmp_path / "model.pt"
    for content in (good, made):
        path.write_bytes(content)
        with pytest.raises(CheckpointError):
            load_checkpoint(path, named=SIGMOID)
    assert not marker.exists()


def test_a_header_as_long_as_it_may_be(tmp_path: Path) -> None:
    tensors = dict(Classifier(4, 5, 3).state_dict())
    path = tmp_path / "model.safetensors"
    for length, is_read in ((2**22, True), (2**22 + 8, False)):
        filler = json.dumps({"filler": ""})
        assert filler
        plain = len(safetensors.torch.save(tensors, {"filler": ""})) - sum(
            each.nbytes for each in tensors.values()
        )
        content = safetensors.torch.save(
            tensors, {"filler": "x" * (length - (plain - 8))}
        )
        size = int.from_bytes(content[:8], "little")
        assert (size <= 2**22) is is_read
        path.write_bytes(content)
        if is_read:
            assert load_checkpoint(path, named=SIGMOID).card.architecture.features == 4
        else:
            with pytest.raises(CheckpointError, match="a header of 4194"):
                load_checkpoint(path, named=SIGMOID)
