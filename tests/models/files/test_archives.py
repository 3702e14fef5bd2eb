"""Archives of others: each by its name, with the way to weights where there is one."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fuzzing.checkpoints import peak_fault
from fuzzing.files.parts import archive
from fuzzing.memory import peak_bytes
from sigmoid_models.files.kinds import NotWeightsError, recognise
from sigmoid_models.files.state_dict import read_saved
from sigmoid_models.files.stored import FormatError


class Functional(nn.Module):
    """The function between its layers is no module."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(5, 7), nn.Linear(7, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(torch.relu(self.fc1(x)))  # type: ignore[no-any-return]


def refused(content: bytes) -> NotWeightsError:
    assert recognise(content) == "torch"
    with pytest.raises(NotWeightsError) as caught:
        read_saved(content)
    for text in (caught.value.finding, caught.value.remedy):
        assert text.isprintable()
        assert len(text) <= 300
    return caught.value


def zipped(parts: Mapping[str, bytes], comment: bytes = b"", **options: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as written:  # type: ignore[call-overload]
        for name, content in parts.items():
            written.writestr(name, content)
        written.comment = comment
    return file.getvalue()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("is_traced", [True, False])
def test_torchscript(is_traced: bool, tmp_path: Path) -> None:
    sequential = nn.Sequential(nn.Linear(5, 7), nn.Sigmoid(), nn.Linear(7, 3))
    for module, expected in (
        (
            sequential,
            "it is a TorchScript archive of the class Sequential, with the layers "
            "0 (5 to 7) and 2 (7 to 3), and Sigmoid",
        ),
        (
            Functional(),
            "it is a TorchScript archive of the class Functional, with the layers "
            "fc1 (5 to 7) and fc2 (7 to 3), and relu",
        ),
    ):
        made = (
            torch.jit.trace(module, torch.zeros(1, 5))  # type: ignore[no-untyped-call]
            if is_traced
            else torch.jit.script(module)
        )
        path = tmp_path / "model.pt"
        made.save(str(path))
        error = refused(path.read_bytes())
        assert error.finding == expected
        assert error.remedy == (
            """save its weights: python -c "import torch; torch.save(torch.jit.load("""
            """'model.pt').state_dict(), 'weights.pt')\""""
        )
        with pytest.raises(FormatError, match="the file is cut off"):
            read_saved(path.read_bytes()[:-100])


def test_exported(tmp_path: Path) -> None:
    program = torch.export.export(Functional().eval(), (torch.zeros(1, 5),))
    path = tmp_path / "model.pt2"
    torch.export.save(program, str(path))
    error = refused(path.read_bytes())
    assert error.finding == "it is a torch.export archive, which calls relu"
    assert "torch.export.load('model.pt2').state_dict, " in error.remedy


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.zeros(3), b=np.ones(2))
    return file.getvalue()


OTHERS = {
    "npz": (npz(), "an archive of NumPy arrays (.npz)"),
    "Keras": (
        zipped({"metadata.json": b"{}", "config.json": b"{}", "model.weights.h5": b""}),
        "a Keras archive",
    ),
    "old export": (
        zipped({"serialized_exported_program.json": b"{}"}),
        "a torch.export archive",
    ),
    "Word": (
        zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"}),
        "an Office document",
    ),
    "Java": (zipped({"META-INF/MANIFEST.MF": b"", "A.class": b""}), "a Java archive"),
    "TorchServe": (
        zipped({"MAR-INF/MANIFEST.json": b"", "model.pt": b""}),
        "a TorchServe archive",
    ),
    "package": (
        zipped({"my/.data/extern_modules": b"", "my/model.pkl": b""}),
        "an archive of torch.package",
    ),
    "weights": (
        zipped({"a/README": b"", "a/Model.PTH": b"x"}),
        "a zip archive with a/Model.PTH in it",
    ),
    "others": (
        zipped({"b.txt": b"x", "a\n.txt": b"y"}),
        r"a zip archive of other files, such as a\n.txt",
    ),
    "a comment": (zipped({"a": b"x"}, b"PK\3\4" * 1000), "such as a"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_archives(name: str) -> None:
    content, expected = OTHERS[name]
    assert expected in refused(content).finding


def test_compressed_parts_of_others() -> None:
    parts = {"word/document.xml": b"<x/>" * 1000, "[Content_Types].xml": b"x" * 1000}
    content = zipped(parts, compression=zipfile.ZIP_DEFLATED)
    assert "an Office document" in refused(content).finding


def test_weights_that_were_packed_again() -> None:
    made = archive(b"\x80\x02}.", compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(FormatError, match="compressed"):
        read_saved(made)


def test_a_comment_behind_weights() -> None:
    made = archive(b"\x80\x02}.")
    noted = made[:-2] + len(b"a note").to_bytes(2, "little") + b"a note"
    assert read_saved(noted) == read_saved(made) == []


@pytest.mark.parametrize("count", [1, 100])
def test_code_that_is_small_as_long_as_it_is_packed(count: int) -> None:
    code = b"torch.relu(x)\n" + b" " * (2**25 // count)
    parts = {f"m/code/{index}.py": code for index in range(count)}
    parts |= {"m/data.pkl": b"\x80\x02N.", "m/constants.pkl": b""}
    content = zipped(parts, compression=zipfile.ZIP_DEFLATED, compresslevel=9)
    with peak_bytes() as highest:
        error = refused(content)
        peak = highest()
    assert error.finding == "it is a TorchScript archive, with relu"
    assert peak_fault(peak, len(content)) is None
    assert peak < 2**23


def test_damaged_code() -> None:
    parts = {"m/code/a.py": b"torch.relu(x)" * 50, "m/constants.pkl": b""}
    made = bytearray(zipped(parts, compression=zipfile.ZIP_DEFLATED))
    start = made.index(b"a.py") + 4
    made[start : start + 8] = b"\xff" * 8
    assert refused(bytes(made)).finding == "it is a TorchScript archive"
