"""Pickles, read as data: the objects in them are described, never made.

A pickle is a program, whose instructions name functions and call them. Here nothing is
called, imported or built: the instructions that `torch.save` writes work on
descriptions of objects. A tensor becomes a `Stored`, a plain container stays one, a
NumPy array and the like become an `Opaque`; any other name is an error, or, in a
tolerant reading, a description too. Each instruction takes constant time, and constant
memory besides its own bytes.
"""

import struct
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from sigmoid_models.files.pickle_bytes import LONGEST_NAME, PickleBytes
from sigmoid_models.files.pickle_calls import (
    build,
    foreign_identifier,
    found_storage,
    names_storage,
    outcome,
)
from sigmoid_models.files.pickle_values import (
    GLOBALS,
    Foreign,
    Global,
    Instance,
    Opaque,
    Pairs,
    PickledObjectError,
)
from sigmoid_models.files.regular_file import FileBytes
from sigmoid_models.files.stored import FormatError, Stored

MAX_STEPS: Final = 500_000


class Pickles(PickleBytes):
    """Pickles that stand one after another in a file.

    Args:
        content: The bytes of the file.
        start: Offset of the first pickle.
        stop: Where the last must end.
        is_tolerant: Whether names that are not known are described, as `Foreign`, and
            their objects as `Instance`; else they are an error.

    Attributes:
        storages: Bytes of each storage of the last pickle, by key.
        tensors: The tensors of the last pickle that have a storage; one may come again.
    """

    def __init__(
        self, content: FileBytes, start: int, stop: int, *, is_tolerant: bool = False
    ) -> None:
        super().__init__(content, start, stop)
        self._is_tolerant = is_tolerant
        self._steps = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}
        self.storages: dict[str, int] = {}
        self.tensors: list[Stored] = []

    def read(self) -> object:
        """Describe what the next pickle holds.

        Raises:
            FormatError: It is cut off, damaged, too long or by another program.
            PickledObjectError: It holds something else than tensors and containers.
        """
        self._stack, self._marks, self._memo = [], [], {}
        self.storages, self.tensors = {}, []
        try:
            while True:
                code = self.take_byte()
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

    def _items(self) -> list[Any]:
        """Take what lies above the last mark."""
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def name(self) -> None:
        """Push what a name stands for."""
        self._stack.append(self._meant(f"{self.take_line()}.{self.take_line()}"))

    def name_of_texts(self) -> None:
        """Push what a name stands for, whose parts were pushed."""
        self._need(2)
        member, module = self._stack.pop(), self._stack.pop()
        if not isinstance(member, str) or not isinstance(module, str):
            raise FormatError("a pickle with a name that is no text")
        self._stack.append(self._meant(f"{module}.{member}"))

    def _meant(self, full: str) -> Global | Foreign:
        found = GLOBALS.get(full)
        if found is not None:
            return found
        if not self._is_tolerant:
            raise PickledObjectError(full[:LONGEST_NAME])
        return Foreign(full[:LONGEST_NAME])

    def frame(self) -> None:
        """Pass over the length of a frame, in which nothing is but instructions."""
        if self.take_number("<Q") > self._stop - self.at:
            raise FormatError(
                "a pickle with the instruction 0x95 for a frame that is cut off"
            )

    def push(self, value: object) -> None:
        """Push a value."""
        self._stack.append(value)

    def number(self, layout: str) -> None:
        """Push a number."""
        self._stack.append(self.take_number(layout))

    def long(self) -> None:
        """Push a whole number of up to 255 bytes."""
        self._stack.append(
            int.from_bytes(self.take(self.take_byte()), "little", signed=True)
        )

    def text(self, layout: str) -> None:
        """Push a text."""
        self._stack.append(self.take_text(self.take_number(layout)))

    def mark(self) -> None:
        """Mark the top."""
        self._marks.append(len(self._stack))

    def short_bytes(self, layout: str) -> None:
        """Push bytes."""
        self._stack.append(self.take_bytes(self.take_number(layout)))

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
        elif not isinstance(target, Opaque | Instance):
            raise FormatError("a pickle that appends to no list")

    def make_set(self) -> None:
        """Push what lies above the mark as a set."""
        self._items()
        self._stack.append(Opaque("set"))

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
        if not isinstance(target, Pairs | Opaque | Instance):
            raise FormatError("a pickle that sets an item of no dictionary")
        if isinstance(target, Pairs):
            target.extend(zip(items[::2], items[1::2], strict=True))

    def put(self, layout: str) -> None:
        """Keep the top for later."""
        place = self.take_number(layout)
        if place >= MAX_STEPS:
            raise FormatError("a pickle that keeps more than it can have")
        self._memo[place] = self._stack[-1]

    def keep(self) -> None:
        """Keep the top for later, under the next number."""
        self._memo[len(self._memo)] = self._stack[-1]

    def get(self, layout: str) -> None:
        """Push what was kept."""
        self._stack.append(self._memo[self.take_number(layout)])

    def find(self) -> None:
        """Push the storage that an identifier stands for."""
        identifier = self._pop()
        if self._is_tolerant and not names_storage(identifier):
            self._stack.append(foreign_identifier(identifier))
            return
        storage, whole = found_storage(identifier)
        if self.storages.setdefault(storage.key, whole) != whole:
            raise FormatError("a pickle with a storage of two sizes")
        self._stack.append(storage)

    def call(self) -> None:
        """Describe what a call would give."""
        self._need(2)
        arguments, called = self._stack.pop(), self._stack.pop()
        try:
            made = outcome(called, arguments)
        except (FormatError, IndexError, KeyError, ValueError):
            if not self._is_tolerant:
                raise
            made = Opaque("object")
        if isinstance(made, Stored) and made.key:
            self.tensors.append(made)
        self._stack.append(made)

    def call_with_names(self) -> None:
        """Describe what a call with arguments by name would give."""
        self._need(3)
        self._stack.pop()
        self.call()

    def build(self) -> None:
        """Note what would be added to an object."""
        self._need(2)
        state = self._stack.pop()
        build(self._stack[-1], state)


_STOP: Final = ord(".")
_STEPS: Final[Mapping[int, Callable[[Pickles], None]]] = {
    ord("c"): Pickles.name,
    0x93: Pickles.name_of_texts,
    ord("("): Pickles.mark,
    ord("Q"): Pickles.find,
    ord("R"): Pickles.call,
    0x81: Pickles.call,  # to make an object of a class is as to call it
    0x92: Pickles.call_with_names,
    ord("b"): Pickles.build,
    0x80: partial(Pickles.pass_over, count=1),  # the protocol
    0x95: Pickles.frame,
    ord("N"): partial(Pickles.push, value=None),
    0x88: partial(Pickles.push, value=True),
    0x89: partial(Pickles.push, value=False),
    ord(")"): partial(Pickles.push, value=()),
    ord("]"): lambda pickles: pickles.push([]),
    ord("}"): lambda pickles: pickles.push(Pairs()),
    0x8F: lambda pickles: pickles.push(Opaque("set")),
    0x90: partial(Pickles.append, is_many=True),
    0x91: Pickles.make_set,
    ord("K"): partial(Pickles.number, layout="<B"),
    ord("M"): partial(Pickles.number, layout="<H"),
    ord("J"): partial(Pickles.number, layout="<i"),
    ord("G"): partial(Pickles.number, layout=">d"),
    0x8A: Pickles.long,
    ord("X"): partial(Pickles.text, layout="<I"),
    ord("U"): partial(Pickles.text, layout="<B"),
    0x8C: partial(Pickles.text, layout="<B"),
    0x8D: partial(Pickles.text, layout="<Q"),
    ord("C"): partial(Pickles.short_bytes, layout="<B"),
    ord("B"): partial(Pickles.short_bytes, layout="<I"),
    0x8E: partial(Pickles.short_bytes, layout="<Q"),
    0x96: partial(Pickles.short_bytes, layout="<Q"),
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
    0x94: Pickles.keep,
    ord("h"): partial(Pickles.get, layout="<B"),
    ord("j"): partial(Pickles.get, layout="<I"),
}
