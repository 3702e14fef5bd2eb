"""The mapping of weights in what was saved, and the values that stand beside it.

Training programs save a dictionary of everything: epoch, optimiser, configuration, and
somewhere in it the network's `state_dict`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sigmoid_models.files.pickle_values import Opaque, Pairs
from sigmoid_models.files.stored import Stored
from sigmoid_models.intake.refusal import RefusedError, listed

# Components that wrappers put before names: DataParallel and AveragedModel, compile.
_WRAPPERS: Final = {"module", "_orig_mod"}
_DEEPEST: Final = 6

# Dictionaries whose values are about the network as a whole.
_CONFIGURATIONS: Final = {
    *(
        "config",
        "cfg",
        "configuration",
        "hyper_parameters",
        "hparams",
        "hyperparameters",
    ),
    *(
        "args",
        "params",
        "kwargs",
        "init_args",
        "model_args",
        "model_kwargs",
        "settings",
    ),
    *("model_params", "model_config", "model_cfg", "net_config", "options", "meta"),
    *("metadata", "architecture", "arch", "model", "net", "network"),
}
_MOST_CONTAINERS: Final = 10_000

Path = tuple[str, ...]


@dataclass(frozen=True)
class Weights:
    """The weights of a file that may be a network.

    Attributes:
        tensors: By name, without what wrappers put before it, in the file's order.
        is_ordered: Whether that order says something.
        modules: Names of all modules, also of those without weights, where the file
            tells them.
        state: Where in the file the mapping stands; None if the file is the mapping.
        beside: The other values of the file, by the last part of their place.
    """

    tensors: dict[str, Stored]
    is_ordered: bool
    modules: tuple[str, ...] = ()
    state: str | None = None
    beside: tuple[tuple[str, object], ...] = ()


def find_weights(saved: object, state: str | None, *, is_ordered: bool) -> Weights:
    """Find the one mapping of weights in what was saved.

    Args:
        saved: See `sigmoid_models.files.state_dict.read_saved`.
        state: Which of several it is, or what the names begin with that count.
        is_ordered: See `Weights`.

    Raises:
        RefusedError: There is none, or there are several and none was named.
    """
    containers = list(_containers(saved))
    found = {".".join(path): pairs for path, pairs in containers if _has_weights(pairs)}
    chosen, place, prefix = _chosen(saved, found, state)
    tensors = _tensors(chosen, prefix)
    beside = tuple(
        (str(name)[:64], value)
        for path, pairs in containers
        if ".".join(path) not in found and _CONFIGURATIONS.issuperset(path)
        for name, value in pairs
        if isinstance(name, str)
    )
    extras = [
        (name, value)
        for name, value in chosen
        if isinstance(name, str) and not isinstance(value, Stored)
    ]
    if not is_ordered:
        # What safetensors' save_model writes of a tensor that another name has, too.
        tensors |= {
            name.removeprefix(prefix): tensors[value.removeprefix(prefix)]
            for name, value in extras
            if isinstance(value, str)
            and value.removeprefix(prefix) in tensors
            and name.removeprefix(prefix) not in tensors
        }
    return Weights(
        _unwrapped(tensors),
        is_ordered=is_ordered,
        modules=tuple(
            _without_wrappers(name.removeprefix(prefix))
            for name in chosen.modules
            if name.startswith(prefix)
        ),
        state=place or None,
        beside=(*beside, *extras),
    )


def _containers(saved: object) -> Iterator[tuple[Path, Pairs]]:
    """List the dictionaries of what was saved, each once."""
    waiting: list[tuple[Path, object]] = [((), saved)]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_CONTAINERS:
        path, value = waiting.pop(0)
        if id(value) in seen or len(path) > _DEEPEST:
            continue
        seen.add(id(value))
        if isinstance(value, Pairs):
            yield path, value
            inside = [(str(n)[:64], v) for n, v in value if isinstance(n, str | int)]
        elif isinstance(value, list | tuple):
            inside = [(str(n), v) for n, v in enumerate(value[:_MOST_CONTAINERS])]
        else:
            continue
        waiting += [
            ((*path, name), inner)
            for name, inner in inside
            if isinstance(inner, list | tuple)
        ]


def _has_weights(pairs: Pairs) -> bool:
    return any(
        isinstance(name, str)
        and name.rpartition(".")[2] == "weight"
        and isinstance(value, Stored)
        and len(value.shape) == 2
        for name, value in pairs
    )


def _is_optimiser(pairs: Pairs) -> bool:
    return any(
        name in ("param_groups", "exp_avg", "momentum_buffer") for name, _ in pairs
    )


def _chosen(
    saved: object, found: dict[str, Pairs], state: str | None
) -> tuple[Pairs, str, str]:
    """Return a mapping, where it stands, and what the names begin with that count."""
    remedy = 'save it with torch.save(model.state_dict(), "model.pt")'
    if not found:
        raise RefusedError(_described(saved), remedy)
    if state is not None:
        if state in found:
            return found[state], state, ""
        for place, pairs in found.items():
            if any(
                isinstance(name, str) and name.startswith(f"{state}.")
                for name, _ in pairs
            ):
                return pairs, f"{place}.{state}" if place else state, f"{state}."
        raise RefusedError(
            f"it holds no state {state[:64]!r}",
            f"name one of: {listed([place or '.' for place in found])}",
        )
    if len(found) > 1:
        names = [place or "." for place in found]
        raise RefusedError(
            f"it holds {len(found)} networks: {listed(names)}",
            f"name one with sigmoid-serve convert --state {names[0]}",
        )
    place, pairs = next(iter(found.items()))
    return pairs, place, ""


def _described(saved: object) -> str:
    """Say what a file holds in which there are no weights of linear layers."""
    if isinstance(saved, Stored):
        return "it holds a Tensor, not a state_dict"
    if isinstance(saved, Opaque):
        return f"it holds a {saved.kind}, not a state_dict"
    if not isinstance(saved, Pairs):
        return f"it holds a {type(saved).__name__}, not a state_dict"
    if _is_optimiser(saved):
        return "it holds the state of an optimiser, not of a network"
    names = [str(name) for name, _ in saved if isinstance(name, str | int | float)]
    what = f"only {listed(names)}" if names else "nothing"
    return f"no weights of linear layers are in it: it holds {what}"


def _tensors(pairs: Pairs, prefix: str) -> dict[str, Stored]:
    return {
        name.removeprefix(prefix): value
        for name, value in pairs
        if isinstance(name, str)
        and isinstance(value, Stored)
        and name.startswith(prefix)
    }


def _unwrapped(tensors: dict[str, Stored]) -> dict[str, Stored]:
    short = {_without_wrappers(name): tensor for name, tensor in tensors.items()}
    return short if len(short) == len(tensors) else tensors


def _without_wrappers(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)
