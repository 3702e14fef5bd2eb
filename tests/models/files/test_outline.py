"""A whole network in a file is described, never made."""

import io
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fuzzing.files.parts import archive, legacy, text
from sigmoid_models.files.outline import LONGEST, outline
from sigmoid_models.files.pickle_values import PickledObjectError
from sigmoid_models.files.state_dict import read_saved


class Named(nn.Module):
    """As many tutorials have it; its class can be imported here."""

    def __init__(self, function: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(5, 7), nn.Linear(7, 3)
        self.function = function or nn.ReLU()

    def __setstate__(self, state: object) -> None:
        raise AssertionError("it was made")


def saved(content: object, is_archive: bool = True, protocol: int = 2) -> bytes:
    file = io.BytesIO()
    torch.save(
        content,
        file,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=is_archive,
    )
    return file.getvalue()


LAYERS = "with the layers fc1 (5 to 7) and fc2 (7 to 3)"
MODULES: list[tuple[object, str]] = [
    (Named(), f"a whole module of the class Named, {LAYERS}, and ReLU"),
    (Named(torch.tanh), f"a whole module of the class Named, {LAYERS}, and tanh"),
    (
        Named(nn.functional.relu),
        f"a whole module of the class Named, {LAYERS}, and relu",
    ),
    (
        nn.DataParallel(Named()),
        "a whole module of the class DataParallel around a Named, with the layers "
        "module.fc1 (5 to 7) and module.fc2 (7 to 3), and ReLU",
    ),
    (
        nn.Sequential(nn.Linear(2, 1), nn.Sigmoid()),
        "a whole module of the class Sequential, with the layer 0 (2 to 1), and "
        "Sigmoid",
    ),
    (
        nn.Sequential(
            OrderedDict(a=nn.Sequential(nn.Linear(2, 1, bias=False)), b=nn.Tanh())
        ),
        "a whole module of the class Sequential, with the layer a.0 (2 to 1), and Tanh",
    ),
    (
        {"epoch": 3, "net": Named()},
        f"a whole module under 'net' of the class Named, {LAYERS}, and ReLU",
    ),
    (nn.Linear(5, 1), "a whole module of the class Linear, with the layer itself"),
    (
        nn.Sequential(*(nn.Linear(2, 2) for _ in range(9))),
        "4 (2 to 2), 5 (2 to 2) and 3 more",
    ),
    (nn.Sequential(nn.Conv2d(1, 2, 3)), "of the class Sequential, with Conv2d"),
]


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("is_archive", [True, False])
@pytest.mark.parametrize(("module", "expected"), MODULES)
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_whole_modules(
    module: object, expected: str, is_archive: bool, protocol: int
) -> None:
    content = saved(module, is_archive, protocol)
    found = outline(content)
    assert found is not None
    assert found.startswith("a whole module ")
    assert expected in found
    with pytest.raises(PickledObjectError) as caught:
        read_saved(content)
    assert caught.value.outline == found
    part = "['net']" if isinstance(module, dict) else ""
    assert caught.value.remedy == (
        "if its class can be imported, and if you trust this file, as to load it so "
        """runs the code in it: python -c "import torch; torch.save(torch.load("""
        f"""'model.pt', weights_only=False){part}.state_dict(), 'weights.pt')\""""
    )


def test_first_foreign_name() -> None:
    with pytest.raises(PickledObjectError, match=rf"^{__name__}\.Named$"):
        read_saved(saved(Named()))


@pytest.mark.parametrize(
    "content",
    [b"", b"x", archive(b"\x80\x02"), saved({"a": 1}), saved([1]), saved(Path())],
)
def test_files_without_a_network(content: bytes) -> None:
    assert outline(content) is None


def module(name: bytes, parts: bytes) -> bytes:
    return b"c__main__\n" + name + b"\n)\x81}" + text("_modules") + parts + b"sb"


@pytest.mark.parametrize("make", [archive, legacy])
def test_long_and_odd_names(make: Any) -> None:
    for name in ("x" * 60_000, "\n\0\u202e" * 1000, "😀" * 1000, ""):
        linear = b"ctorch.nn.modules.linear\nLinear\n)\x81}" + text("in_features")
        linear += b"\x8a\xff" + b"\x7f" * 255 + b"s" + text("_modules") + b"}sb"
        parts = b"}" + b"".join(text(f"{i}{name}") + linear + b"s" for i in range(9))
        found = outline(make(b"\x80\x02" + module(b"Net", parts) + b"."))
        assert found is not None
        assert found.isprintable()
        assert len(found) <= LONGEST
        assert "Net" in found


@pytest.mark.parametrize("make", [archive, legacy])
def test_modules_in_themselves(make: Any) -> None:
    inner = b"}q\0" + text("a") + b"c__main__\nNet\n)\x81}" + text("_modules") + b"h\0"
    found = outline(make(b"\x80\x02" + module(b"Net", inner + b"sbs") + b"."))
    assert found == "a whole module of the class Net"


@pytest.mark.parametrize("make", [archive, legacy])
def test_many_modules_that_share_their_parts(make: Any) -> None:
    """All have all the others; the way through them has an end."""
    one = text("a") + b"c__main__\nNet\n)\x81h\0b"
    state = b"}q\0" + text("_modules") + b"}(" + one * 60_000 + b"us"
    found = outline(make(b"\x80\x02c__main__\nNet\n)\x81" + state + b"b."))
    assert found == "a whole module of the class Net"
