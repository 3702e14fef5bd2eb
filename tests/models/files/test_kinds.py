"""The first bytes say what a file is, whatever it is called."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import pickletools
import tarfile
from collections import OrderedDict

import numpy as np
import pytest
import safetensors.torch
import torch

from fuzzing.files.parts import legacy
from sigmoid_models.files.kinds import NotWeightsError, recognise

WEIGHTS = {"fc.weight": torch.zeros(2, 3)}


def saved(content: object, **options: object) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)  # type: ignore[arg-type]
    return file.getvalue()


def refused(content: bytes) -> NotWeightsError:
    with pytest.raises(NotWeightsError) as caught:
        recognise(content)
    for text in (caught.value.finding, caught.value.remedy):
        assert text.isprintable()
        assert len(text) < 200
    return caught.value


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("is_archive", [True, False])
def test_what_torch_writes(protocol: int, is_archive: bool) -> None:
    content = saved(
        WEIGHTS,
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=is_archive,
    )
    assert recognise(content) == "torch"


def test_safetensors() -> None:
    assert recognise(safetensors.torch.save(WEIGHTS)) == "safetensors"
    assert recognise(safetensors.torch.save(WEIGHTS)[:12]) == "safetensors"
    assert recognise(b"\xff" * 8 + b"{}") == "safetensors"


def test_an_empty_file() -> None:
    assert refused(b"").finding == "the file is empty"


@pytest.mark.parametrize(
    "content",
    [
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4670\n",
        b"version https://git-lfs.github.com/spec/v1\next-0-foo sha256:00\noid "
        b"sha256:00\nsize 1\n",
        b"version https://git-lfs.github.com/spec/v1\r\noid sha256:00\r\nsize 1\r\n",
        b"version https://hawser.github.com/spec/v1\noid sha256:00\nsize 1\n",
    ],
)
def test_a_pointer(content: bytes) -> None:
    assert "Git LFS pointer" in refused(content).finding
    assert "git lfs pull" in refused(content).remedy


def test_a_pointer_of_git_annex() -> None:
    error = refused(b"/annex/objects/SHA256E-s4670--00.pt\n")
    assert "git annex get" in error.remedy


PAGE = "<!DOCTYPE html>\n<html><head><title>model.pt</title></head></html>\n"


@pytest.mark.parametrize(
    "content",
    [
        PAGE.encode(),
        b"\xef\xbb\xbf" + PAGE.encode(),
        b"\r\n\t  " + PAGE.encode(),
        PAGE.encode("utf-16"),
        PAGE.upper().encode(),
        b"<HTML lang=en>",
        b"<!-- saved -->\n<html>",
        b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">\n<html xmlns="y">',
        "<html><body>é à ü</body>".encode("latin-1"),
    ],
)
def test_a_web_page(content: bytes) -> None:
    assert "web page (HTML)" in refused(content).finding


def old_pickle(content: object) -> bytes:
    return pickle.dumps(content, 0)


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as written:
        written.addfile(tarfile.TarInfo("model.pt"))
    return file.getvalue()


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


OTHERS = {
    "JSON": (json.dumps({"a": 1}).encode(), "JSON text"),
    "JSON of a card": (b'{"format":1}', "JSON text"),
    "JSON after white space": (b"\n [1, 2]", "JSON text"),
    "a message of a server": (b"404: Not Found", "begins with “404: Not Found”"),
    "text with odd characters": ("text\u202e".encode(), r"begins with “text\u202e”"),
    "text of one letter": (b"x", "begins with “x”"),
    "CSV": (b"a,b,c\n1,2,3\n", "a table of text (CSV)"),
    "XML": (b"<svg xmlns='x'/>", "an XML document"),
    "gzip": (gzip.compress(b"x"), "a gzip archive"),
    "bzip2": (bz2.compress(b"x"), "a bzip2 archive"),
    "xz": (lzma.compress(b"x"), "an xz archive"),
    "zstd": (b"(\xb5/\xfd\0\0", "a zstd archive"),
    "7z": (b"7z\xbc\xaf'\x1c\0\4", "a 7z archive"),
    "tar": (tar(), "a tar archive"),
    "HDF5": (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file, as Keras writes"),
    "npy": (npy(), "an array of NumPy's"),
    "ONNX": (b"\x08\x07\x12\x07pytorch\x1a\x051.9.0", "an ONNX model"),
    "ONNX without a producer": (b"\x08\x08:\xff\x01\n\x08", "an ONNX model"),
    "TensorFlow Lite": (b"\x1c\0\0\0TFL3\0\0", "a TensorFlow Lite model"),
    "ExecuTorch": (b"\x1c\0\0\0ET12\0\0", "an ExecuTorch program"),
    "PDF": (b"%PDF-1.7\n", "no checkpoint"),
    "PNG": (b"\x89PNG\r\n\x1a\n", "no checkpoint"),
    "program": (b"\x7fELF\2\1", "no checkpoint"),
    "empty zip": (b"PK\5\6" + bytes(18), "an empty zip archive"),
    "zeros": (bytes(100), "nothing but zeros"),
    "many zeros": (bytes(100_000), "nothing but zeros"),
    "noise": (b"\xff" * 100, "it is no checkpoint"),
    "half a signature": (b"PK", "begins with “PK”"),
    "old pickle": (old_pickle({"a": 1}), "that torch.save did not write"),
    "old pickle of a list": (old_pickle([1]), "that torch.save did not write"),
    "old pickle of an object": (
        old_pickle(np.zeros(2)),
        "that torch.save did not write",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files(name: str) -> None:
    content, expected = OTHERS[name]
    assert expected in refused(content).finding


class Odd:
    """Of a class that no reader may make."""

    def __init__(self) -> None:
        raise AssertionError("it was made")


def test_plain_pickles() -> None:
    odd = object.__new__(Odd)
    for protocol in (2, 3, 4, 5):
        for content, expected in (
            (WEIGHTS, "a pickle of a dictionary that torch.save did not write"),
            (OrderedDict(WEIGHTS), "a pickle of a dictionary"),
            ([1, 2], "a pickle of a list"),
            (np.zeros(3), "a pickle of the class ndarray"),
            (odd, f"a pickle of the class {__name__}.Odd"),
        ):
            made = pickle.dumps(content, protocol)
            assert expected in refused(made).finding
            assert expected in refused(pickletools.optimize(made)).finding
            assert "a pickle" in refused(made[: len(made) // 2]).finding


def test_a_row_whose_magic_is_damaged() -> None:
    content = legacy(b"\x80\x02}.")
    assert recognise(content) == "torch"
    assert "a pickle" in refused(content.replace(b"\x50\x19.", b"\x51\x19.")).finding
