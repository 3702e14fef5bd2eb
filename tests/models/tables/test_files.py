"""What a file is: compressed, in another encoding, no table at all, or a pipe."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from sigmoid_models.tables import csv_table
from sigmoid_models.tables.reading import TableError, open_table
from tests.models.tables.reader import read, refusal, written

TEXT = "a,größe\n1,2\n3,4\n"
ROWS = [["1", "2"], ["3", "4"]]


def zstd(content: bytes) -> bytes:
    compressed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return compressed


COMPRESSIONS: list[Callable[[bytes], bytes]] = [
    gzip.compress,
    bz2.compress,
    lzma.compress,
    zstd,
]


@pytest.mark.parametrize("index", range(len(COMPRESSIONS)))
def test_compressed(tmp_path: Path, index: int) -> None:
    compress = COMPRESSIONS[index]
    content = TEXT.encode()
    # The suffix says nothing; a file may have several parts.
    path = written(tmp_path, compress(content[:5]) + compress(content[5:]))
    assert read(path).rows == ROWS
    with open_table(path) as table:
        list(table.batches())
        assert table.read_fraction == 1
    large = compress(b"a,b\n" + b"1.2345,2.3456\n" * 3000)
    for cut in (large[:-9], large[: len(large) // 2]):
        message = refusal(written(tmp_path, cut))
        assert message == "it cannot be decompressed: it is damaged or cut short"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TEXT.encode("utf-8-sig"), None),
        (b"\xff\xfe" + TEXT.encode("utf-16-le"), "UTF-16"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "UTF-16"),
        (TEXT.encode("utf-32"), "UTF-32"),
        (TEXT.encode("latin-1"), "Windows-1252"),
        (gzip.compress(TEXT.encode("utf-16"), mtime=0), "UTF-16"),
    ],
)
def test_encodings(tmp_path: Path, content: bytes, encoding: str | None) -> None:
    found = read(written(tmp_path, content))
    assert found.names == ("a", "größe")
    assert found.rows == ROWS
    assert found.notes == ((f"read as {encoding}",) if encoding else ())


def test_an_encoding_that_shows_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_table, "_BLOCK", 64)
    plain = "a,b\n" + "1,x\n" * 100
    found = read(written(tmp_path, (plain + "2,é€\n").encode("cp1252")))
    assert found.rows[-1] == ["2", "é€"]
    assert found.notes == ("read as Windows-1252",)
    mixed = "a,b\n1,é\n".encode() + plain[4:].encode() + "2,é\n".encode("cp1252")
    message = refusal(written(tmp_path, mixed))
    assert message.startswith("line 103 is not UTF-8, as the text before it is")


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (b"a,b\n1,\x81\n", "line 2 is neither UTF-8 nor Windows-1252"),
        (b"\xff\xfea\0,\0b\0\n\0\x00\xd8\n\0", "it begins as UTF-16 and then is not"),
        (TEXT.encode("utf-16-le"), "line 1 holds a NUL byte"),
        (b"PK\x03\x04\x14\0", "it is an Excel workbook or another zip file; save"),
        (b"\xd0\xcf\x11\xe0", "it is an old Excel workbook"),
        (b"<!DOCTYPE html>\n<html>", "it is a page of HTML or XML"),
        (b'\n <?xml version="1.0"?>', "it is a page of HTML or XML"),
        (b'[{"a": 1}]', "it is JSON"),
        (b'\xef\xbb\xbf{\n  "a": 1}', "it is JSON"),
        (b"ARROW1\0\0", "it is an Arrow or Feather file"),
        (b"\x93NUMPY\x01\0", "it is a NumPy array"),
        (b"@relation iris\n", "it is an ARFF file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"f.csv".ljust(257, b"\0") + b"ustar", "it is a tar archive"),
        (gzip.compress(b"PK\x03\x04\x14\0", mtime=0), "it is an Excel workbook"),
        (b"PAR1aaaaPAR1", "it begins as Parquet, and is damaged or cut short"),
    ],
)
def test_no_tables(tmp_path: Path, content: bytes, finding: str) -> None:
    assert finding in refusal(written(tmp_path, content))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "missing.csv") == "No such file or directory"
    assert refusal(tmp_path) == "Is a directory"
    with pytest.raises(TableError) as caught:
        open_table(tmp_path / "a\nb.csv")
    assert str(caught.value) == rf"{tmp_path}/a\nb.csv: No such file or directory"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    given = io.TextIOWrapper(io.BytesIO(gzip.compress(TEXT.encode())))
    monkeypatch.setattr(sys, "stdin", given)
    with open_table(Path("-")) as table:
        [batch] = table.batches()
        assert table.label == "standard input"
        assert table.read_fraction == 0
        assert batch.numbers(("a",)).tolist() == [[1], [3]]
    assert not given.buffer.closed


def test_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            for byte in TEXT.encode():
                file.write(bytes([byte]))

    writer = threading.Thread(target=write)
    writer.start()
    assert read(path).rows == ROWS
    writer.join()


def test_without_pyarrow(tmp_path: Path) -> None:
    path = written(tmp_path, TEXT)
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from pathlib import Path\n"
        "from sigmoid_models.tables.reading import open_table\n"
        f"open_table(Path({str(path)!r}))"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    said = (
        "UserError: reading tables needs pyarrow: pip install 'sigmoid-serve[tables]'"
    )
    assert said in outcome.stderr
