"""The bytes of a table: of a file or of standard input, compressed or not."""

import bz2
import gzip
import io
import lzma
import os
import sys
import zlib
from contextlib import ExitStack
from pathlib import Path
from stat import S_ISREG
from typing import IO, Any, Final

import pyarrow as pa

from sigmoid_models.tables.table import TableError

STANDARD_INPUT: Final = Path("-")

_READ_AT_ONCE: Final = 2**18

# What is no table, by its first bytes, and what to do about it.
_OTHERS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"PK\x03\x04", "an Excel workbook or another zip file; save the sheet as CSV"),
    (b"PK\x05\x06", "an empty zip file; name a CSV or Parquet file"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as CSV"),
    (b"%PDF-", "a PDF; export the table as CSV"),
    (b"ARROW1", "an Arrow or Feather file; write it as Parquet or CSV"),
    (b"FEA1", "a Feather file; write it as Parquet or CSV"),
    (b"ORC", "an ORC file; write it as Parquet or CSV"),
    (b"\x89HDF", "an HDF5 file; write the table as Parquet or CSV"),
    (b"\x93NUMPY", "a NumPy array; write it as CSV with names of columns"),
    (b"SQLite format 3", "an SQLite database; export the table as CSV"),
    (b"version https://git-lfs", "a pointer of Git LFS; run git lfs pull"),
    (b"\x80\x04\x95", "a pickle; write the table as CSV or Parquet"),
    (b"7z\xbc\xaf", "a 7z archive; take the CSV out of it"),
    (b"Rar!", "a RAR archive; take the CSV out of it"),
)
_TAR: Final = slice(257, 262)
_BROKEN: Final = (EOFError, OSError, zlib.error, lzma.LZMAError, pa.ArrowException)


class Source:
    """Bytes that are read once, from the first to the last; decompressed.

    Attributes:
        label: The file's name, for messages.
        is_parquet: Whether the file says that it is Parquet.
    """

    def __init__(self, path: Path) -> None:
        self.label = "standard input" if path == STANDARD_INPUT else str(path)
        self._stack = ExitStack()
        try:
            self._raw = _Counted(self._opened(path))
            buffered = io.BufferedReader(self._raw, _READ_AT_ONCE)
            self._stack.callback(buffered.close)
            head = buffered.peek(8)
            self.is_parquet = head.startswith(b"PAR1")
            self._is_compressed = True
            self._file = self._stack.enter_context(self._decompressed(buffered, head))
        except OSError as error:
            self.close()
            reason = error.strerror or "it cannot be read"
            raise TableError(f"{self.label}: {reason}") from None

    @property
    def read_fraction(self) -> float:
        """How much of the file was read; 0 where its size is not known."""
        return min(1.0, self._raw.count / self._size) if self._size else 0.0

    def read(self, size: int) -> bytes:
        """Read as many bytes, or fewer at the end.

        Raises:
            TableError: The file cannot be read, or not be decompressed.
        """
        parts = []
        try:
            while size > 0 and (part := self._file.read(size)):
                parts.append(part)
                size -= len(part)
        except _BROKEN as error:
            if self._is_compressed:
                finding = "it cannot be decompressed: it is damaged or cut short"
            else:
                finding = getattr(error, "strerror", None) or "it cannot be read"
            raise TableError(f"{self.label}: {finding}") from None
        return b"".join(parts)

    def close(self) -> None:
        """Close the file; standard input stays open."""
        self._stack.close()

    def _opened(self, path: Path) -> IO[bytes]:
        if path == STANDARD_INPUT:
            file: IO[bytes] = sys.stdin.buffer
        else:
            file = self._stack.enter_context(path.open("rb"))
        try:
            status = os.fstat(file.fileno())
            self._size = status.st_size if S_ISREG(status.st_mode) else 0
        except OSError:
            self._size = 0
        return file

    def _decompressed(self, file: Any, head: bytes) -> Any:
        if head.startswith(b"\x1f\x8b"):
            return gzip.GzipFile(fileobj=file)
        if head.startswith(b"BZh"):
            return bz2.BZ2File(file)
        if head.startswith(b"\xfd7zXZ\x00"):
            return lzma.LZMAFile(file)
        if head.startswith(b"\x28\xb5\x2f\xfd"):
            return pa.CompressedInputStream(pa.PythonFile(file), "zstd")
        self._is_compressed = False
        return file


class _Counted(io.RawIOBase):
    """A file that counts what is read of it, and fills a buffer or is at its end."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        # One call of the system at a time: between them Ctrl-C is noticed, after which
        # the next one might wait for a pipe for good.
        filled = 0
        while filled < len(buffer) and (part := self._file.read1(len(buffer) - filled)):
            buffer[filled : filled + len(part)] = part
            filled += len(part)
        self.count += filled
        return filled


def refuse_others(label: str, head: bytes) -> None:
    """Refuse what is no table, by its first bytes.

    Raises:
        TableError: It says what the file is, and what to do.
    """
    text = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    named = next((said for magic, said in _OTHERS if head.startswith(magic)), None)
    if head[_TAR] == b"ustar":
        named = "a tar archive; take the CSV out of it"
    elif text.startswith((b"<!doctype", b"<html", b"<?xml", b"<table", b"<head")):
        named = "a page of HTML or XML, not the data; download the file itself"
    elif text.startswith((b'{"', b"{\n", b"{\r", b"{ ", b"{}", b"[{", b"[[", b"[\n")):
        named = "JSON; write it as CSV with names of columns, or as Parquet"
    elif text.startswith(b"@relation"):
        named = "an ARFF file; write it as CSV with names of columns"
    if named:
        raise TableError(f"{label}: it is {named}")
