"""The text of a table, as UTF-8 whatever it was."""

import codecs
from collections.abc import Callable
from typing import Final

from sigmoid_models.tables.table import TableError

# The longer marks first: that of UTF-32 begins as one of UTF-16 does.
_MARKS: Final = (
    (codecs.BOM_UTF8, None),
    (codecs.BOM_UTF32_LE, "UTF-32-LE"),
    (codecs.BOM_UTF32_BE, "UTF-32-BE"),
    (codecs.BOM_UTF16_LE, "UTF-16-LE"),
    (codecs.BOM_UTF16_BE, "UTF-16-BE"),
)


class Text:
    """A stream of text that is read once, and its encoding, found out.

    Bytes that are no UTF-8 are Windows-1252, of which Latin-1 is a part, if there was
    only ASCII before.

    Attributes:
        name: The encoding, where it is not UTF-8.
    """

    def __init__(self, label: str, read: Callable[[int], bytes]) -> None:
        self._label, self._read = label, read
        self.name: str | None = None
        self._has_utf8 = False
        self._decoder: codecs.IncrementalDecoder | None = None
        self._rest = read(4)
        for mark, name in _MARKS:
            if self._rest.startswith(mark):
                self._rest = self._rest[len(mark) :]
                self._has_utf8 = name is None
                if name:
                    self.name = name.rpartition("-")[0]
                    self._decoder = codecs.getincrementaldecoder(name)()
                break

    def read(self, size: int) -> bytes:
        """Read as many bytes or a few more, fewer only at the end.

        They are UTF-8, or what `utf8` makes UTF-8.

        Raises:
            TableError: The file cannot be read, or is not the UTF-16 that it says.
        """
        content = self._rest + self._read(max(0, size - len(self._rest)))
        self._rest = b""
        if self._decoder is None:
            return content
        try:
            return self._decoder.decode(content, final=len(content) < size).encode()
        except UnicodeError:
            finding = f"it begins as {self.name} and then is not; save it as UTF-8"
            raise TableError(f"{self._label}: {finding}") from None

    def utf8(self, block: bytes, line: Callable[[int], int]) -> bytes:
        """Make some whole lines UTF-8.

        Args:
            block: The lines.
            line: Tells the number of the line at an offset.

        Raises:
            TableError: They are in no encoding that is known, or hold a NUL.
        """
        if b"\0" in block:
            where = f"line {line(block.index(0))} holds a NUL byte"
            remedy = "it is no text, or UTF-16 without its mark; save it as UTF-8"
            raise TableError(f"{self._label}: {where}: {remedy}")
        if block.isascii():
            return block
        if self.name == "Windows-1252":
            return self._windows(block, line)
        try:
            block.decode()
        except UnicodeDecodeError as error:
            if self._has_utf8:
                where = f"line {line(error.start)}"
                finding = f"{where} is not UTF-8, as the text before it is"
                raise TableError(f"{self._label}: {finding}; save it again") from None
            return self._windows(block, line)
        self._has_utf8 = True
        return block

    def _windows(self, block: bytes, line: Callable[[int], int]) -> bytes:
        self.name = "Windows-1252"
        try:
            return block.decode("cp1252").encode()
        except UnicodeDecodeError as error:
            finding = f"line {line(error.start)} is neither UTF-8 nor Windows-1252"
            raise TableError(f"{self._label}: {finding}; save it as UTF-8") from None
