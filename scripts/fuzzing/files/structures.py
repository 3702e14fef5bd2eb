"""Damage to what a program saves: other names, values, shapes, orders and nesting."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from copy import copy
from functools import partial
from random import Random
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

Place = tuple[Any, ...]

_KEYS: Final[tuple[Any, ...]] = (
    *("0.weight", "1.weight", "2.bias", "fc1.weight", "fc2.weight", "weight", "bias"),
    *("head.weight", "output.bias", "relu", "model", "state_dict", "module.0.weight"),
    *("n_averaged", "0.running_mean", "bn.weight", "conv.weight", "lstm.weight_ih_l0"),
    *("loss_fn.weight", "criterion.pos_weight", "classes", "activation", "", "."),
    *(".weight", "00.weight", "-1.bias", "9" * 400 + ".weight", "x" * 300, "\x1b[31m"),
    *(
        "layers.weight",
        "fc1.weight_g",
        "fc1.parametrizations.weight.original0",
        "\ud7ff",
    ),
    *(0, 1, -1, None, True, 0.5, float("nan"), (), ("a", 1), b"weight", 2**80),
)
_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, 0, 1, -1, 2**70, 0.5, float("nan"), float("inf"), "", "x", "\n"),
    *("relu", "sigmoid", "leaky_relu", "ReLU()", "cube", ["relu", "tanh"], b"bytes"),
    *([], {}, (), [[]], [None], {"a": {}}, {1: 2}, OrderedDict(), ["a"] * 3, 1j, {1}),
    *(["a", "a", "b"], ["\n", "b", "c"], np.zeros(3), np.float64(1), np.zeros((2, 2))),
    *(
        torch.zeros(()),
        torch.zeros(0),
        torch.ones(3),
        torch.ones(3, 3),
        torch.Size([3]),
    ),
    *(torch.float32, np.dtype("f4"), torch.arange(3), torch.zeros(2, 0)),
)
_WRAPS: Final[tuple[Callable[[Any], Any], ...]] = (
    lambda value: {"state_dict": value},
    lambda value: {"model": value, "ema": value},
    lambda value: [value],
    lambda value: (value, value),
    lambda value: {"a": {"b": {"c": {"d": {"e": {"f": {"g": value}}}}}}},
    lambda value: {"epoch": 1, "model": [value]},
    lambda value: OrderedDict(model=value, optimizer={"state": value}),
)


def _numbers(tensor: Tensor) -> Tensor:
    changed = tensor.clone()
    changed.view(-1)[:1] = float("nan")
    return changed


_TENSORS: Final[tuple[Callable[[Tensor], Any], ...]] = (
    lambda tensor: tensor.t() if tensor.dim() == 2 else tensor[None],
    lambda tensor: tensor.reshape(-1),
    lambda tensor: tensor[..., :1],
    lambda tensor: tensor[1:],
    lambda tensor: tensor[:0],
    lambda tensor: tensor[None],
    lambda tensor: tensor[..., None],
    lambda tensor: torch.cat((tensor, tensor)),
    lambda tensor: tensor.int(),
    lambda tensor: tensor.half(),
    lambda tensor: tensor.bfloat16(),
    lambda tensor: tensor.double() * 1e300,
    lambda tensor: tensor.to(torch.complex64),
    lambda tensor: tensor > 0,
    _numbers,
    lambda tensor: tensor[:1].expand_as(tensor),
    lambda tensor: tensor.to("meta"),
    lambda tensor: tensor.to_sparse(),
    lambda tensor: nn.Parameter(tensor.float()),
    lambda tensor: tensor.flatten()[0],
    lambda tensor: tensor.tolist(),
    lambda tensor: tensor.float().numpy(),
)


def damage_structure(random: Random, content: Any) -> Any:
    """Do one to four things to what is to be saved.

    Args:
        random: Draws them.
        content: Containers and tensors; they stay as they are.
    """
    for _ in range(random.choice((1, 1, 2, 4))):
        if random.random() < 0.1:
            content = random.choice(_WRAPS)(content)
            continue
        places = list(places_in(content))
        if not places:
            return content
        change = partial(random.choice(_WAYS), random)
        content = with_change(content, random.choice(places), change)
    return content


def rearrange(random: Random, content: Any) -> Any:
    """Save the same network in another way: in another order, in other containers.

    Args:
        random: Draws it.
        content: See `damage_structure`.
    """
    for _ in range(random.choice((1, 1, 2, 4))):
        if random.random() < 0.2:
            content = random.choice(_WRAPS)(content)
        else:
            places = list(places_in(content))
            content = with_change(
                content, random.choice(places), partial(_move, random)
            )
    return content


def places_in(content: Any, at: Place = ()) -> Iterator[Place]:
    """List the places of all that is in containers, at any depth."""
    if isinstance(content, dict):
        keys: list[Any] = list(content)
    elif isinstance(content, list | tuple):
        keys = list(range(len(content)))
    else:
        return
    for key in keys:
        yield (*at, key)
        # A NaN is no key of its dictionary, unless it is the same object.
        yield from places_in(content[key], (*at, key))


def with_change(content: Any, at: Place, change: Callable[[Any, Any], None]) -> Any:
    """Copy what leads to a place, and change its container there."""
    key, *rest = at
    made = list(content) if isinstance(content, tuple) else copy(content)
    if rest:
        made[key] = with_change(made[key], tuple(rest), change)
    else:
        change(made, key)
    return tuple(made) if isinstance(content, tuple) else made


def _delete(random: Random, at: Any, key: Any) -> None:
    del at[key]


def _value(random: Random, at: Any, key: Any) -> None:
    at[key] = random.choice(_VALUES)


def _tensor(random: Random, at: Any, key: Any) -> None:
    at[key] = _other_tensor(random, at[key])


def _other_tensor(random: Random, value: Any) -> Any:
    if isinstance(value, Tensor) and value.dim():
        try:
            return random.choice(_TENSORS)(value)
        # It was damaged before: it has no numbers now, or others.
        except (RuntimeError, TypeError, ValueError, IndexError):
            return None
    return random.choice(_VALUES)


def _wrap(random: Random, at: Any, key: Any) -> None:
    at[key] = random.choice(_WRAPS)(at[key])


def _rename(random: Random, at: Any, key: Any) -> None:
    """Give it another name, at its own place in the order."""
    if not isinstance(at, dict):
        at[key] = random.choice(_VALUES)
        return
    other = random.choice(_KEYS)
    if isinstance(key, str) and random.random() < 0.5:
        head, _, tail = key.rpartition(".")
        other = random.choice((f"{head}0.{tail}", f"x.{key}", f"{head}.{other}", head))
    pairs = [(other if name is key else name, value) for name, value in at.items()]
    at.clear()
    at.update(pairs)


def _move(random: Random, at: Any, key: Any) -> None:
    """Put it first or last."""
    if isinstance(at, list):
        at.append(at.pop(key))
        return
    value = at.pop(key)
    pairs = list(at.items())
    at.clear()
    at.update(
        [(key, value), *pairs] if random.random() < 0.5 else [*pairs, (key, value)]
    )


def _again(random: Random, at: Any, key: Any) -> None:
    """Let it be there twice."""
    if isinstance(at, list):
        at.append(at[key])
    else:
        at[random.choice(_KEYS)] = at[key]


def _exchange(random: Random, at: Any, key: Any) -> None:
    keys = list(at) if isinstance(at, dict) else range(len(at))
    other = random.choice(keys)
    at[key], at[other] = at[other], at[key]


def _modules(random: Random, at: Any, key: Any) -> None:
    """Say something else of the modules that a `state_dict` is of."""
    odd: Any = random.choice(
        ({}, [], None, {3: {}}, {"relu": {"version": 1}}, {"a.tanh": {}})
    )
    if isinstance(at, OrderedDict):
        names = [*(getattr(at, "_metadata", None) or {}), "softmax", "layernorm", "10"]
        drawn: Any = OrderedDict.fromkeys(random.sample(names, len(names) // 2))
        at._metadata = random.choice((odd, drawn))  # type: ignore[attr-defined]
    else:
        at[key] = odd


_WAYS: Final[tuple[Callable[[Random, Any, Any], None], ...]] = (
    *(_delete, _value, _tensor, _tensor, _wrap, _rename, _rename, _move, _again),
    *(_exchange, _modules),
)
