"""Pickles, read as data: the objects in them are described, never made.

A pickle is a program, whose instructions name functions and call them. Here nothing is
called, imported or built: the instructions that `torch.save` writes work on
descriptions of objects. A tensor becomes a `Stored`, a plain container stays one, a
NumPy array and the like become an `Opaque`; any other name is an error. Each
instruction takes constant time, and constant memory besides its own bytes.
"""

import struct
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from sigmoid_models.files.pickle_calls import found_storage, outcome
from sigmoid_models.files.pickle_values import (
    GLOBALS,
    Opaque,
    Pairs,
    PickledObjectError,
)
from sigmoid_models.files.stored import FormatError, Stored

MAX_STEPS: Final = 500_000

# A text may take four bytes for a character, so not all of them are kept.
_LONGEST_TEXT: Final = 2**16
_MOST_TEXT: Final = 2**22
_LONGEST_NAME: Final = 200


class Pickles:
    """Pickles that stand one after another in a file.

    Args:
        content: The bytes of the file.
        start: Offset of the first pickle.
        stop: Where the last must end.

    Attributes:
        at: Offset behind the last pickle that was read.
        storages: Bytes of each storage of the last pickle, by key.
    """

    def __init__(self, content: bytes, start: int, stop: int) -> None:
        self.at = start
        self._content = content
        self._stop = stop
        self._steps = 0
        self._text = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}
        self.storages: dict[str, int] = {}

    def read(self) -> object:
        """Describe what the next pickle holds.

        Raises:
            FormatError: It is cut off, damaged, too long or by another program.
            PickledObjectError: It holds something else than tensors and containers.
        """
        self._stack, self._marks, self._memo, self.storages = [], [], {}, {}
        try:
            while True:
                code = self._byte()
                if code == _STOP:
                    return self._stack.pop()
                self._steps += 1
                if self._steps > MAX_STEPS:
                    raise FormatError(f"a pickle of more than {MAX_STEPS} steps")
                step = _STEPS.get(code)
                if step is None:
                    raise FormatError(
                        f"a pickle with the instruction 0x{code:02x}, which torch.save "
                        "does not write"
                    )
                step(self)
        except (IndexError, KeyError, struct.error, ValueError) as error:
            raise FormatError(f"a damaged pickle: {type(error).__name__}") from None

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        at = self.at
        self.at = at + count
        if self.at > self._stop:
            raise FormatError("a pickle that is cut off")
        return self._content[at : self.at]

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _items(self) -> list[Any]:
        """Take what lies above the last mark."""
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _text_of(self, count: int) -> object:
        if count > _LONGEST_TEXT or self._text + count > _MOST_TEXT:
            self.at += count
            if self.at > self._stop:
                raise FormatError("a pickle that is cut off")
            return Opaque("str")
        self._text += count
        return self._take(count).decode("utf-8", "surrogatepass")

    def _line(self) -> str:
        stop = min(self._stop, self.at + _LONGEST_NAME)
        end = self._content.find(b"\n", self.at, stop)
        if end < 0:
            raise FormatError("a pickle with a name that does not end")
        line = self._take(end - self.at)
        self.at += 1
        return line.decode("utf-8")

    def name(self) -> None:
        """Push what a name stands for."""
        full = f"{self._line()}.{self._line()}"
        if full not in GLOBALS:
            raise PickledObjectError(full)
        self._stack.append(GLOBALS[full])

    def skip(self, count: int) -> None:
        """Pass over bytes."""
        self._take(count)

    def push(self, value: object) -> None:
        """Push a value."""
        self._stack.append(value)

    def number(self, layout: str) -> None:
        """Push a number."""
        self._stack.append(self._number(layout))

    def long(self) -> None:
        """Push a whole number of up to 255 bytes."""
        self._stack.append(
            int.from_bytes(self._take(self._byte()), "little", signed=True)
        )

    def text(self, layout: str) -> None:
        """Push a text."""
        self._stack.append(self._text_of(self._number(layout)))

    def mark(self) -> None:
        """Mark the top."""
        self._marks.append(len(self._stack))

    def make_tuple(self, count: int | None) -> None:
        """Push the last values, or those above the mark, as one."""
        if count is None:
            self._stack.append(tuple(self._items()))
            return
        self._need(count)
        items = tuple(self._stack[-count:])
        del self._stack[-count:]
        self._stack.append(items)

    def _need(self, count: int) -> None:
        if len(self._stack) - (self._marks[-1] if self._marks else 0) < count:
            raise FormatError("a pickle that takes what is not there")

    def append(self, *, is_many: bool) -> None:
        """Add to a list."""
        items = self._items() if is_many else [self._pop()]
        target = self._stack[-1]
        if type(target) is list:
            target.extend(items)
        elif not isinstance(target, Opaque):
            raise FormatError("a pickle that appends to no list")

    def _pop(self) -> Any:
        self._need(1)
        return self._stack.pop()

    def set_items(self, *, is_many: bool) -> None:
        """Add to a dictionary."""
        if is_many:
            items = self._items()
        else:
            self._need(2)
            items = self._stack[-2:]
            del self._stack[-2:]
        target = self._stack[-1]
        if not isinstance(target, Pairs | Opaque):
            raise FormatError("a pickle that sets an item of no dictionary")
        if isinstance(target, Pairs):
            target.extend(zip(items[::2], items[1::2], strict=True))

    def put(self, layout: str) -> None:
        """Keep the top for later."""
        place = self._number(layout)
        if place >= MAX_STEPS:
            raise FormatError("a pickle that keeps more than it can have")
        self._memo[place] = self._stack[-1]

    def get(self, layout: str) -> None:
        """Push what was kept."""
        self._stack.append(self._memo[self._number(layout)])

    def find(self) -> None:
        """Push the storage that an identifier stands for."""
        storage, whole = found_storage(self._pop())
        if self.storages.setdefault(storage.key, whole) != whole:
            raise FormatError("a pickle with a storage of two sizes")
        self._stack.append(storage)

    def call(self) -> None:
        """Describe what a call would give."""
        self._need(2)
        arguments, called = self._stack.pop(), self._stack.pop()
        self._stack.append(outcome(called, arguments))

    def build(self) -> None:
        """Pass over what would be added to an object."""
        self._need(2)
        self._stack.pop()
        if not isinstance(self._stack[-1], Pairs | Opaque | Stored):
            raise FormatError("a pickle that changes no object")


_STOP: Final = ord(".")
_STEPS: Final[Mapping[int, Callable[[Pickles], None]]] = {
    ord("c"): Pickles.name,
    ord("("): Pickles.mark,
    ord("Q"): Pickles.find,
    ord("R"): Pickles.call,
    0x81: Pickles.call,  # to make an object of a class is as to call it
    ord("b"): Pickles.build,
    0x80: partial(Pickles.skip, count=1),  # the protocol
    ord("N"): partial(Pickles.push, value=None),
    0x88: partial(Pickles.push, value=True),
    0x89: partial(Pickles.push, value=False),
    ord(")"): partial(Pickles.push, value=()),
    ord("]"): lambda pickles: pickles.push([]),
    ord("}"): lambda pickles: pickles.push(Pairs()),
    0x8F: lambda pickles: pickles.push(Opaque("set")),
    ord("K"): partial(Pickles.number, layout="<B"),
    ord("M"): partial(Pickles.number, layout="<H"),
    ord("J"): partial(Pickles.number, layout="<i"),
    ord("G"): partial(Pickles.number, layout=">d"),
    0x8A: Pickles.long,
    ord("X"): partial(Pickles.text, layout="<I"),
    ord("U"): partial(Pickles.text, layout="<B"),
    ord("t"): partial(Pickles.make_tuple, count=None),
    0x85: partial(Pickles.make_tuple, count=1),
    0x86: partial(Pickles.make_tuple, count=2),
    0x87: partial(Pickles.make_tuple, count=3),
    ord("a"): partial(Pickles.append, is_many=False),
    ord("e"): partial(Pickles.append, is_many=True),
    ord("s"): partial(Pickles.set_items, is_many=False),
    ord("u"): partial(Pickles.set_items, is_many=True),
    ord("q"): partial(Pickles.put, layout="<B"),
    ord("r"): partial(Pickles.put, layout="<I"),
    ord("h"): partial(Pickles.get, layout="<B"),
    ord("j"): partial(Pickles.get, layout="<I"),
}
