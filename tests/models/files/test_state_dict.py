"""What `torch.save` writes is read at any depth, of any protocol, as data."""

import argparse
import io
import struct
import warnings
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fuzzing.checkpoints import peak_fault
from fuzzing.files.parts import archive, legacy, state, tensor, text
from fuzzing.memory import peak_bytes
from sigmoid_models.files.pickle_values import Opaque, Pairs, PickledObjectError
from sigmoid_models.files.state_dict import read_saved
from sigmoid_models.files.stored import FormatError, Stored

LAYOUTS = [True, False]
PROTOCOLS = [2, 3, 4, 5]


def saved(content: object, is_archive: bool = True, protocol: int = 2) -> bytes:
    file = io.BytesIO()
    torch.save(
        content,
        file,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=is_archive,
    )
    return file.getvalue()


def at(value: object, *path: str | int) -> Any:
    """Follow keys and places into what was read."""
    for step in path:
        if isinstance(value, Pairs):
            (value,) = (each for name, each in value if name == step)
        else:
            assert isinstance(value, list | tuple)
            assert isinstance(step, int)
            value = value[step]
    return value


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


@pytest.mark.parametrize("is_archive", LAYOUTS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tensors_at_any_depth(is_archive: bool, protocol: int) -> None:
    weights = network().state_dict()
    content = saved(
        {
            "epoch": 3,
            "best": None,
            "model": weights,
            "more": [{"again": weights}, (weights["0.weight"], [weights["2.bias"]])],
            "long" * 100: {"text": "x" * 70_000},
        },
        is_archive,
        protocol,
    )
    found = read_saved(content)
    for name, weight in weights.items():
        for path in (("model", name), ("more", 0, "again", name)):
            assert torch.equal(at(found, *path).float32(content), weight)
    first, (last,) = at(found, "more", 1)
    assert torch.equal(first.float32(content), weights["0.weight"])
    assert torch.equal(last.float32(content), weights["2.bias"])
    assert at(found, "epoch") == 3
    assert at(found, "best") is None
    # A tensor that comes again is given its place once.
    assert at(found, "model", "0.weight") is first


@pytest.mark.parametrize("is_archive", LAYOUTS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_names_of_modules(is_archive: bool, protocol: int) -> None:
    module = nn.Sequential(OrderedDict(fc=nn.Linear(3, 2), relu=nn.ReLU()))
    weights = module.state_dict()
    found = read_saved(saved({"model": weights}, is_archive, protocol))
    assert at(found, "model").modules == ("fc", "relu")
    assert isinstance(found, Pairs)
    assert found.modules == ()
    assert at(read_saved(saved(weights))).modules == ("fc", "relu")
    assert at(read_saved(saved(dict(weights)))).modules == ()
    assert at(read_saved(saved(OrderedDict(weights)))).modules == ()


def test_odd_metadata() -> None:
    for metadata in (
        {},
        {3: 1, "": {}, ("a",): 2},
        [1],
        None,
        OrderedDict({"a": {}, "": 1}),
        {"b" * 70_000: 1},
    ):
        made: OrderedDict[str, Tensor] = OrderedDict(a=torch.zeros(1))
        made._metadata = metadata  # type: ignore[attr-defined]
        found = read_saved(saved(made))
        assert isinstance(found, Pairs)
        assert found.modules in ((), ("a",))


def test_parameters_and_views() -> None:
    whole = torch.arange(12.0, dtype=torch.float64).view(3, 4)
    for is_archive in LAYOUTS:
        content = saved({"a": {"b": nn.Parameter(whole[1:, ::2])}}, is_archive)
        (stored,) = (at(read_saved(content), "a", "b"),)
        assert stored.float64(content).tolist() == whole[1:, ::2].tolist()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("is_archive", LAYOUTS)
def test_exact_numbers(dtype: str, is_archive: bool) -> None:
    values = torch.tensor([1 / 3, -1e-5, 65_504.0, 0.0]).to(getattr(torch, dtype))
    content = saved({"a": values, "none": values[:0]}, is_archive)
    found = read_saved(content)
    made = at(found, "a").float64(content)
    assert made.dtype == np.float64
    assert made.tolist() == values.double().tolist()
    assert at(found, "none").float64(content).shape == (0,)


@pytest.mark.parametrize("is_archive", LAYOUTS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_numpy_beside_weights(is_archive: bool, protocol: int) -> None:
    content = saved(
        {
            "mean": np.arange(5.0),
            "large": np.zeros((100, 100), order="F"),
            "names": np.array(["a", "b"], dtype=object),
            "loss": np.float64(0.5),
            "half": np.float32(0.25),
            "epoch": np.int64(-7),
            "is_best": np.bool_(True),
            "big": np.dtype(">i4").type(3),
            "weights": {"fc.weight": torch.ones(2)},
        },
        is_archive,
        protocol,
    )
    found = read_saved(content)
    for name in ("mean", "large", "names"):
        array = at(found, name)
        assert isinstance(array, Opaque)
        assert array.kind == "ndarray"
    assert [at(found, n) for n in ("loss", "half", "epoch")] == [0.5, 0.25, -7]
    assert at(found, "is_best") is True
    assert at(found, "big") == 3
    assert at(found, "weights", "fc.weight").float32(content).tolist() == [1, 1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_other_containers(protocol: int) -> None:
    steps: defaultdict[str, list[int]] = defaultdict(list, a=[1])
    made = {"steps": steps, "set": {1, 2}, "frozen": frozenset({1}), "raw": b"x" * 99}
    found = read_saved(saved({**made, "w": torch.ones(1)}, protocol=protocol))
    assert at(found, "steps", "a") == [1]
    assert isinstance(at(found, "set"), Opaque)


@pytest.mark.parametrize("is_archive", LAYOUTS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_foreign_objects_are_refused_by_name(is_archive: bool, protocol: int) -> None:
    namespace = argparse.Namespace(lr=0.1)
    content = saved(
        {"state_dict": {"a": torch.ones(1)}, "args": namespace}, is_archive, protocol
    )
    with pytest.raises(PickledObjectError, match=r"^argparse\.Namespace$") as caught:
        read_saved(content)
    assert caught.value.outline is None
    assert "weights_only=False)['state_dict'], 'weights.pt')" in str(
        caught.value.remedy
    )
    assert "if you trust this file" in str(caught.value.remedy)


@pytest.mark.parametrize("is_archive", LAYOUTS)
def test_a_remedy_has_no_odd_key(is_archive: bool) -> None:
    for key in ("a'b", 'a"; touch x; "', "a\nb", "é", "x" * 41, ""):
        content = saved({key: {"a": torch.ones(1)}, "b": Path()}, is_archive)
        with pytest.raises(PickledObjectError, match="pathlib") as caught:
            read_saved(content)
        assert "torch.save(model.state_dict()" in str(caught.value.remedy)


@pytest.mark.parametrize("make", [archive, legacy])
def test_deep_wrappers(make: Any) -> None:
    depth = 10_000
    one = tensor([1], [1], 1, "0")
    program = b"".join(
        (b"\x80\x02", (b"}" + text("model")) * depth, one, b"s" * depth, b".")
    )
    found: object = read_saved(make(program, {"0": struct.pack("<f", 7)}))
    for _ in range(depth):
        assert isinstance(found, Pairs)
        ((_, found),) = found
    assert isinstance(found, Stored)
    assert not found.key


@pytest.mark.parametrize("is_archive", LAYOUTS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_refers_to_itself(is_archive: bool, protocol: int) -> None:
    made: dict[str, Any] = {"w": torch.ones(2)}
    made |= {"self": made, "list": [made]}
    content = saved(made, is_archive, protocol)
    found = read_saved(content)
    assert at(found, "self") is found
    assert at(found, "list", 0) is found
    assert at(found, "w").float32(content).tolist() == [1, 1]


@pytest.mark.parametrize("make", [archive, legacy])
@pytest.mark.parametrize(
    "piece", [b"h\0" * 2, b"K\1h\0", b"h\0\x85h\0", b"h\1)Rh\0", b"h\0h\2"]
)
def test_one_tensor_many_times(make: Any, piece: bytes) -> None:
    start = b"\x80\x02" + tensor([1], [1], 1) + b"q\0"
    start += b"ccollections\nOrderedDict\nq\1]q\2"
    for program in (
        start + b"}(" + piece * 30_000 + b"u.",
        start + b"](" + piece * 30_000 + b"e.",
    ):
        content = make(program, {"0": bytes(4)})
        with peak_bytes() as highest:
            assert isinstance(read_saved(content), list)
            peak = highest()
        assert peak_fault(peak, len(content)) is None


@pytest.mark.parametrize("make", [archive, legacy])
def test_more_steps_than_are_taken(make: Any) -> None:
    start = b"\x80\x02" + tensor([1], [1], 1) + b"q\0](" + b"h\0" * 600_000
    with pytest.raises(FormatError, match="steps"):
        read_saved(make(start + b"e.", {"0": bytes(4)}))


def test_metadata_many_times() -> None:
    """One dictionary of many names, added to another many times."""
    names = b"".join(text(f"m{index}") + b"N" for index in range(60_000))
    metadata = b"}" + text("_metadata") + b"}(" + names + b"usq\0"
    build = b"ccollections\nOrderedDict\n)R" + b"h\0b" * 100_000
    found = read_saved(archive(b"\x80\x02" + metadata + build + b"."))
    assert isinstance(found, Pairs)
    assert len(found.modules) == 2**14


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x04\x95\xff\xff\0\0\0\0\0\0}.",
        b"\x80\x04\x8c\xffa",
        b"\x80\x04\x8d" + b"\xff" * 8,
        b"\x80\x04\x8e" + b"\xff" * 8,
        b"\x80\x05\x96" + b"\xff" * 8,
        b"\x80\x04\x93.",
        b"\x80\x04K\1K\1\x93.",
        b"\x80\x04\x94.",
        b"\x80\x04\x91.",
        b"\x80\x04\x92.",
        b"\x80\x04N(K\1\x90.",
        b"\x80\x05\x97.",
    ],
)
def test_damage_of_later_protocols(program: bytes) -> None:
    for content in (archive(program), legacy(program)):
        with pytest.raises(FormatError):
            read_saved(content)


@pytest.mark.parametrize("make", [archive, legacy])
@pytest.mark.parametrize(
    "program",
    [
        b"cposix\nsystem\n(" + text("touch marker") + b"tR",
        text("posix") + text("system") + b"\x93(" + text("touch marker") + b"tR",
        b"cbuiltins\ngetattr\ncbuiltins\n__import__\n" + text("os") + b"\x86R",
        b"cbuiltins\nexec\n" + text("1") + b"\x85R",
        b"ctorch\nload\n" + text("x") + b"\x85R",
        b"ctorch.storage\n_load_from_bytes\n" + text("x") + b"\x85R",
        b"cnumpy\nload\n" + text("x") + b"\x85R",
        b"cnumpy.testing._private.utils\nrunstring\n" + text("x") + b"\x85R",
    ],
)
def test_no_code_runs(make: Any, program: bytes, tmp_path: Path) -> None:
    for wrapper in (b"%s", b"}" + text("model") + b"%ss", b"]%sa", b"N%s\x86"):
        content = make(b"\x80\x04" + wrapper.replace(b"%s", program) + b".")
        with pytest.raises(PickledObjectError):
            read_saved(content)
    assert not Path("marker").exists()
    assert not list(tmp_path.iterdir())


def test_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_saved(archive(state({"a": tensor([1], [1])})))
        made = saved({"b": torch.ones(2)})
        at(read_saved(made), "b").float64(made)
