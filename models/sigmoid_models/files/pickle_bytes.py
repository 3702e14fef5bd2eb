"""The bytes of pickles, taken one after another, and what they spell."""

import struct
from typing import Any, Final

from sigmoid_models.files.pickle_values import Opaque
from sigmoid_models.files.regular_file import FileBytes
from sigmoid_models.files.stored import FormatError

LONGEST_NAME: Final = 200

# A text may take four bytes for a character, so not all of them are kept.
_LONGEST_TEXT: Final = 2**16
_MOST_TEXT: Final = 2**22
# Enough for a number of NumPy's; what is longer is an array.
_LONGEST_BYTES: Final = 64


class PickleBytes:
    """Bytes of pickles that stand one after another in a file.

    Args:
        content: The bytes of the file.
        start: Offset of the first pickle.
        stop: Where the last must end.

    Attributes:
        at: Offset of what is taken next.
    """

    def __init__(self, content: FileBytes, start: int, stop: int) -> None:
        self.at = start
        self._content = content
        self._stop = stop
        self._text = 0

    def pass_over(self, count: int) -> None:
        """Pass over bytes, without a copy of them.

        Raises:
            FormatError: There are not so many.
        """
        self.at += count
        if self.at > self._stop:
            raise FormatError("a pickle that is cut off")

    def take(self, count: int) -> bytes:
        """Take bytes.

        Raises:
            FormatError: There are not so many.
        """
        at = self.at
        self.pass_over(count)
        return self._content[at : self.at]

    def take_byte(self) -> int:
        """Take one byte."""
        return self.take(1)[0]

    def take_number(self, layout: str) -> Any:
        """Take a number of a layout of `struct`."""
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def take_text(self, count: int) -> object:
        """Take a text; a long one is passed over."""
        if count > _LONGEST_TEXT or self._text + count > _MOST_TEXT:
            self.pass_over(count)
            return Opaque("str")
        self._text += count
        return self.take(count).decode("utf-8", "surrogatepass")

    def take_bytes(self, count: int) -> object:
        """Take the bytes of a number; more are passed over."""
        if count > _LONGEST_BYTES:
            self.pass_over(count)
            return Opaque("bytes")
        return self.take(count)

    def take_line(self) -> str:
        """Take a name that ends with its line."""
        stop = min(self._stop, self.at + LONGEST_NAME)
        end = self._content.find(b"\n", self.at, stop)
        if end < 0:
            raise FormatError("a pickle with a name that does not end")
        line = self.take(end - self.at)
        self.at += 1
        return line.decode("utf-8")
