"""What a pickle of a whole network says of it, though no such file is loaded.

The pickle is read a second time, and every unknown name in it is but described: its
class, and its state as data. Nothing is imported, made or called.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple, TypeGuard

from sigmoid_models.files.pickle_values import Foreign, Instance, Pairs, brief
from sigmoid_models.files.regular_file import FileBytes
from sigmoid_models.files.saved_file import read_tolerantly
from sigmoid_models.files.stored import FormatError, Stored

LONGEST: Final = 300

_MOST_LAYERS: Final = 6
_MOST_FUNCTIONS: Final = 6
_MOST_MODULES: Final = 500
_MOST_ENTRIES: Final = 256
# Where `_modules` is, among the attributes of any module.
_FIRST: Final = 32
_DEEPEST: Final = 16
_LONGEST_PATH: Final = 128
_LARGEST: Final = 2**31
# The first are wrappers, which hold one module; the others hold many.
_WRAPPERS: Final = {"DataParallel", "DistributedDataParallel", "OptimizedModule"}
_CONTAINERS: Final = _WRAPPERS | {"Sequential", "ModuleList", "ModuleDict"}


class Layer(NamedTuple):
    """A linear layer: its attribute, and its size where that is known."""

    name: str
    inputs: int | None
    outputs: int | None


class Found(NamedTuple):
    """A network that was found in a file.

    Attributes:
        root: The module.
        key: The key of the outermost dictionary that holds it, or None.
    """

    root: Instance
    key: str | None


def outline(content: FileBytes) -> str | None:
    """Describe the network that a file of `torch.save` holds as an object.

    Returns:
        Such as `a whole module of the class Named, with the layers fc1 (5 to 7) and
        fc2 (7 to 3), and ReLU`; None if there is none.
    """
    found = find_module(read_described(content))
    return outline_of(found) if found else None


def outline_of(found: Found) -> str:
    """Describe a network that was found; see `outline`."""
    where = f" under {brief(found.key)!r}" if found.key is not None else ""
    return described(found.root, f"a whole module{where} of the class ")


def read_described(content: FileBytes) -> object:
    """Describe what was saved, foreign objects too; None if it cannot be read."""
    try:
        return read_tolerantly(content)
    except FormatError:
        return None


def find_module(saved: object) -> Found | None:
    """Find a network in what was saved, or in a dictionary that was saved."""
    if _is_module(saved):
        return Found(saved, None)
    for key, value in _named(saved):
        if _is_module(value):
            return Found(value, key)
    return None


def described(root: Instance, start: str, functions: tuple[str, ...] = ()) -> str:
    """Describe a network in one short line.

    Args:
        root: The module.
        start: What stands before the name of its class.
        functions: Names of functions that it calls, if they are known.
    """
    layers, others = _contents(root)
    # The function of a module that is called like it says nothing new.
    classes = {name.lower() for name in others}
    others += [name for name in functions if name.replace("_", "") not in classes]
    others = list(dict.fromkeys(others))
    text = f"{start}{_class_of(root)}"
    wrapped = [value for _, value in _parts(root) if _is_module(value)]
    if _short(root.name) in _WRAPPERS and wrapped:
        text += f" around a {_class_of(wrapped[0])}"
    shown = [_sized(layer) for layer in layers[:_MOST_LAYERS]]
    if layers[_MOST_LAYERS:]:
        shown.append(f"{len(layers) - _MOST_LAYERS} more")
    if shown:
        text += f", with the layer{'s' * (len(shown) > 1)} {_listed(shown)}"
    if others:
        first = others[:_MOST_FUNCTIONS]
        more = ["others"] if others[_MOST_FUNCTIONS:] else []
        text += f", {'and' if shown else 'with'} {_listed(first + more)}"
    return brief(text, LONGEST - 1)


def _contents(root: Instance) -> tuple[list[Layer], list[str]]:
    """Find the linear layers, and the classes of the other modules in a network."""
    layers: list[Layer] = []
    others: list[str] = []
    seen = {id(root)}
    waiting: list[tuple[str, Instance, int]] = [("", root, 0)]
    while waiting:
        path, module, depth = waiting.pop()
        parts = _parts(module)
        inner = [(name, value) for name, value in parts if _is_module(value)]
        if _short(module.name) == "Linear":
            layers.append(_layer(path, dict(parts)))
        elif not inner and module is not root:
            others.append(_class_of(module))
        others.extend(
            brief(_short(value.name))
            for _, value in parts
            if isinstance(value, Foreign) and value.name.startswith("torch.")
        )
        if depth < _DEEPEST and len(seen) < _MOST_MODULES:
            new = {id(value): (name, value) for name, value in inner}
            for _, (name, value) in reversed(new.items()):
                if id(value) not in seen:
                    here = f"{path}.{name[:_LONGEST_PATH]}".lstrip(".")
                    waiting.append((here[:_LONGEST_PATH], value, depth + 1))
            seen |= new.keys()
    return layers, [name for name in others if name not in _CONTAINERS]


def _is_module(value: object) -> TypeGuard[Instance]:
    """Tell whether an object is a module, by its class or by what it has."""
    return isinstance(value, Instance) and (
        _is_script(value)
        or any(name == "_modules" for name, _ in _named(value.state, _FIRST))
    )


def _is_script(module: Instance) -> bool:
    """Tell whether a module is one of TorchScript, all parts of which are attributes.

    Those of other modules stand in dictionaries.
    """
    return module.name.startswith("__torch__.")


def _parts(module: Instance) -> list[tuple[str, object]]:
    """Return the attributes of a module, its parameters and inner modules included."""
    attributes = list(_named(module.state))
    if _is_script(module):
        return attributes
    inner = [
        pair
        for name, value in attributes
        if name in ("_modules", "_parameters")
        for pair in _named(value)
    ]
    return [*attributes, *inner]


def _named(value: object, most: int = _MOST_ENTRIES) -> Iterator[tuple[str, object]]:
    if isinstance(value, Pairs):
        for name, each in islice(value, most):
            if isinstance(name, str):
                yield name, each


def _layer(path: str, parts: dict[str, object]) -> Layer:
    weight = parts.get("weight")
    if isinstance(weight, Stored) and len(weight.shape) == 2:
        return Layer(path, *reversed(weight.shape))
    return Layer(path, _size(parts, "in_features"), _size(parts, "out_features"))


def _size(parts: dict[str, object], name: str) -> int | None:
    value = parts.get(name)
    return value if isinstance(value, int) and 0 <= value < _LARGEST else None


def _sized(layer: Layer) -> str:
    name = brief(layer.name) or "itself"
    if layer.inputs is None or layer.outputs is None:
        return name
    return f"{name} ({layer.inputs} to {layer.outputs})"


def _class_of(module: Instance) -> str:
    return brief(_short(module.name))


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _listed(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
