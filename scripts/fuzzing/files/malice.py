"""Pickles that would run code, hidden anywhere in what a program saves."""

import builtins
import functools
import importlib
import operator
import os
import pickle
import runpy
import shutil
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

import torch
from torch import Tensor

from fuzzing.files.parts import archive, legacy, number, row, state, tensor, text
from fuzzing.files.structures import places_in, with_change

MARKER: Final = "code-of-a-fuzzed-file-ran"
"""The file that all of it would make in the current folder."""

# To import it prints a poem; nothing else does.
IMPORTED: Final = "this"

Reduced = tuple[Any, ...]


class Malice:
    """What runs code where it is unpickled.

    Args:
        reduce: What `__reduce__` gives.
    """

    def __init__(self, reduce: Callable[[], Reduced]) -> None:
        self._reduce = reduce

    def __call__(self) -> None:
        """Look like a function, which may be the first of a reduction."""

    def __reduce__(self) -> Reduced:
        """Name what is called, and with what."""
        return self._reduce()


def ran() -> bool:
    """Tell whether any of it ran, in the current folder."""
    return os.path.exists(MARKER) or IMPORTED in sys.modules


def malicious(random: Random, content: Any) -> Any:
    """Put something malicious into what is to be saved."""
    evil: Any = Malice(random.choice(_CALLS))
    for _ in range(random.choice((0, 0, 1, 2, 40))):
        evil = random.choice(_AROUND)(evil)
    places = list(places_in(content))
    if not places or random.random() < 0.05:
        return evil
    way = random.choice(_WAYS)
    return with_change(
        content, random.choice(places), lambda at, key: way(random, at, key, evil)
    )


def malicious_program(random: Random) -> bytes:
    """Make a file by hand, whose pickle calls something where no object would."""
    program = random.choice(_PROGRAMS)
    return archive(program) if random.random() < 0.5 else legacy(program)


def _open() -> Reduced:
    return open, (MARKER, "w")


_CALLS: Final[tuple[Callable[[], Reduced], ...]] = (
    _open,
    lambda: (os.system, (f"touch {MARKER}",)),
    lambda: (os.mkdir, (MARKER,)),
    lambda: (builtins.exec, (f"open({MARKER!r}, 'w')",)),
    lambda: (builtins.eval, (f"open({MARKER!r}, 'w')",)),
    lambda: (subprocess.check_output, (["touch", MARKER],)),
    lambda: (subprocess.Popen, (["touch", MARKER],)),
    lambda: (functools.partial, (os.mkdir, MARKER)),
    lambda: (Malice(lambda: (functools.partial, (os.mkdir, MARKER))), ()),
    lambda: (functools.reduce, (os.mkdir, [MARKER, 0o700])),
    lambda: (operator.methodcaller("mkdir"), (Path(MARKER),)),
    lambda: (getattr, (Malice(lambda: (importlib.import_module, ("os",))), "system")),
    lambda: (importlib.import_module, (IMPORTED,)),
    lambda: (runpy.run_module, (IMPORTED,)),
    lambda: (pickle.loads, (pickle.dumps(Malice(_open)),)),
    lambda: (shutil.copyfile, ("/dev/null", MARKER)),
    lambda: (torch.load, (MARKER,)),
    lambda: (torch.jit.load, (MARKER,)),
    lambda: (torch.save, ({}, MARKER)),
    lambda: (map, (os.mkdir, [MARKER])),
    lambda: (list, (Malice(lambda: (map, (os.mkdir, [MARKER]))),)),
    lambda: (OrderedDict, ([("a", Malice(_open))],)),
    lambda: (OrderedDict, (), {"a": Malice(_open)}),
    lambda: (OrderedDict, (), None, None, iter([(Malice(_open), Malice(_open))])),
    lambda: (list, (), None, iter([Malice(_open)])),
    lambda: (torch._utils._rebuild_parameter, (Malice(_open), False, OrderedDict())),
    lambda: (
        torch._tensor._rebuild_from_type_v2,
        (os.mkdir, torch.Tensor, (MARKER,), {}),
    ),
    lambda: (
        torch._utils._rebuild_tensor_v2,
        (Malice(_open), 0, (1,), (1,), False, {}),
    ),
    lambda: (torch.storage._load_from_bytes, (pickle.dumps(Malice(_open)),)),
)
_AROUND: Final[tuple[Callable[[Any], Any], ...]] = (
    lambda evil: [evil],
    lambda evil: (evil, 1),
    lambda evil: {"a": evil},
    lambda evil: {1: [evil]},
    lambda evil: OrderedDict(model=evil),
    lambda evil: Malice(lambda: (OrderedDict, (), {"x": evil})),
)


def _value(random: Random, at: Any, key: Any, evil: Any) -> None:
    at[key] = evil


def _beside(random: Random, at: Any, key: Any, evil: Any) -> None:
    if isinstance(at, list):
        at.insert(key, evil)
    else:
        at[random.choice(("0.weight", "x", "activation", 7))] = evil


def _key(random: Random, at: Any, key: Any, evil: Any) -> None:
    name = evil if isinstance(evil, Malice) else Malice(_open)
    if isinstance(at, dict):
        at[name] = at.pop(key)
    else:
        at[key] = {name: at[key]}


def _argument(random: Random, at: Any, key: Any, evil: Any) -> None:
    """Make it an argument of a tensor, of its size, its hooks or its attributes."""
    value = at[key]
    if not isinstance(value, Tensor):
        at[key] = evil
        return
    storage = value.untyped_storage()
    typed = torch.storage.TypedStorage(  # type: ignore[no-untyped-call]
        wrap_storage=storage, dtype=value.dtype, _internal=True
    )
    arguments: list[Any] = [typed, 0, (*value.shape,), value.stride(), False]
    arguments.append(OrderedDict())
    arguments[random.randrange(len(arguments))] = evil
    whole = tuple(arguments)
    at[key] = Malice(lambda: (torch._utils._rebuild_tensor_v2, whole))


def _metadata(random: Random, at: Any, key: Any, evil: Any) -> None:
    if isinstance(at, OrderedDict):
        at._metadata = random.choice((evil, {"": evil}))  # type: ignore[attr-defined]
    else:
        at[key] = evil


_WAYS: Final[tuple[Callable[[Random, Any, Any, Any], None], ...]] = (
    *(_value, _beside, _key, _argument, _metadata),
)

_COMMAND: Final = text(f"touch {MARKER}")
_SYSTEM: Final = b"cposix\nsystem\n(" + _COMMAND + b"tR"
_STORAGE: Final = b"(" + text("storage") + b"ctorch\nFloatStorage\n"
_PROGRAMS: Final = (
    b"\x80\x02" + _SYSTEM + b".",
    b"\x80\x02" + _SYSTEM + b"0}.",
    b"\x80\x02c" + IMPORTED.encode() + b"\ns\n.",
    b"\x80\x04" + text(IMPORTED) + text("s") + b"\x93.",
    b"\x80\x02(" + _COMMAND + b"iposix\nsystem\n.",
    b"\x80\x02(cposix\nsystem\n" + _COMMAND + b"o.",
    b"\x80\x02cposix\nsystem\n(" + _COMMAND + b"t\x81.",
    b"\x80\x04cposix\nsystem\n(" + _COMMAND + b"t}\x92.",
    # As a storage's identifier, its key, and its length; as a size of a tensor.
    state({"0.weight": _SYSTEM + b"Q"}),
    state({"0.weight": _STORAGE + _SYSTEM + text("cpu") + number(1) + b"tQ"}),
    state({"0.weight": _STORAGE + text("0") + text("cpu") + _SYSTEM + b"tQ"}),
    state({"0.weight": tensor([1, 1], [1, 1]).replace(row([1, 1]), _SYSTEM, 1)}),
    # What changes an object that is known.
    b"\x80\x02ccollections\nOrderedDict\n)R}" + text("x") + _SYSTEM + b"sb.",
    b"\x80\x02ccollections\nOrderedDict\n" + _SYSTEM + b"b.",
    b"\x80\x02\x82\x01.",
)
