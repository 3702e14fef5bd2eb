"""The files that people have: what training programs save around their weights."""

import io
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from fuzzing.files.file import Network

_SIZES: Final = (4, 6, 5, 3)


@dataclass(frozen=True, eq=False)
class Saved:
    """What a program saves, and how.

    Attributes:
        kind: Its row in the table.
        content: What is saved.
        network: What it is.
        options: Of `torch.save`; None for a `.safetensors` file.
        said: The function between layers, where the file says it.
        hinted: The function that a module is called as: no other may be named.
        is_unplaced: Whether the place of its BatchNorms must be named.
    """

    kind: str
    content: Any
    network: Network
    options: dict[str, Any] | None = None
    said: str | None = None
    hinted: str | None = None
    is_unplaced: bool = False

    @property
    def needs_activation(self) -> bool:
        """Whether it does not load before its functions are named."""
        return self.said is None and len(self.network.layers) > 1


class Modules(nn.Module):
    """Modules under names of their own.

    Args:
        modules: By name.
    """

    def __init__(self, modules: dict[str, nn.Module]) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


def saved_files() -> list[Saved]:
    """Make one of each."""
    torch.manual_seed(0)
    return [
        *_plain(),
        *_wrapped(),
        *_with_configuration(),
        *_prefixed(),
        *_with_norms(),
        *_without_biases(),
    ]


def written(content: Any, options: dict[str, Any] | None) -> bytes:
    """Write it to a file.

    Args:
        content: What is saved.
        options: See `Saved`.
    """
    if options is None:
        try:
            return safetensors.torch.save(content)
        # It is damaged, so that only a pickle can hold it.
        except (ValueError, AttributeError, TypeError, KeyError, RuntimeError):
            options = {}
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        torch.save(content, file, **options)
    return file.getvalue()


def _linears(sizes: tuple[int, ...] = _SIZES, *, bias: bool = True) -> list[nn.Linear]:
    return [nn.Linear(*each, bias=bias) for each in pairwise(sizes)]


def _stack(layers: list[nn.Linear], *between: Callable[[], nn.Module]) -> nn.Sequential:
    """Stand modules between layers, in a numbered container."""
    modules: list[nn.Module] = [layers[0]]
    for layer in layers[1:]:
        modules += [*(make() for make in between), layer]
    return nn.Sequential(*modules)


def _called(layers: list[nn.Linear], names: str) -> Modules:
    return Modules(dict(zip(names.split(), layers, strict=True)))


def _plain() -> Iterator[Saved]:
    layers = _linears()
    network = Network(tuple(layers))
    names = _called(layers, "input hidden output").state_dict()
    dropout = _stack(layers, nn.ReLU, nn.Dropout).state_dict()
    yield Saved("any names", names, network, {})
    yield Saved("any names", names, network)
    yield Saved("gaps in numbers", dropout, network, {})
    yield Saved("gaps in numbers", dropout, network)
    yield Saved("protocol 4", names, network, {"pickle_protocol": 4})
    one = _linears((4, 3))
    yield Saved("one layer", one[0].state_dict(), Network(tuple(one)), {})
    yield Saved("one layer", _called(one, "fc").state_dict(), Network(tuple(one)))
    halves = [layer.half() for layer in _linears()]
    state = _called(halves, "fc1 fc2 fc3").state_dict()
    yield Saved("half", state, Network(tuple(halves)), {})


def _wrapped() -> Iterator[Saved]:
    layers = _linears()
    made, network = _stack(layers, nn.ReLU), Network(tuple(layers))
    optimizer = torch.optim.Adam(made.parameters())
    made(torch.randn(2, 4)).sum().backward()
    optimizer.step()
    state = made.state_dict()
    training = {"epoch": 3, "optimizer_state_dict": optimizer.state_dict(), "loss": 0.5}
    beside = {"model_state_dict": state, **training}
    yield Saved("wrapped", beside, network, {})
    legacy = {"_use_new_zipfile_serialization": False}
    yield Saved("wrapped", beside, network, legacy)
    yield Saved("wrapped", {"args": {}, "net": state}, network, {"pickle_protocol": 4})
    yield Saved("wrapped", {"a": {"b": {"c": state}}}, network, {})
    yield Saved("in a list", [3, state, None], network, {})
    yield Saved("in a list", (optimizer.state_dict(), [state]), network, {})
    whole = {"w": torch.ones(4, dtype=torch.float64), "model": state, **training}
    yield Saved("wrapped", whole, network, legacy)


def _lightning(state: dict[str, Tensor], **parameters: object) -> dict[str, Any]:
    return {
        "epoch": 2,
        "global_step": 30,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": OrderedDict((f"model.{k}", v) for k, v in state.items()),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": 1}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best": torch.tensor(0.5)}},
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 1e-3}]}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": parameters,
    }


def _with_configuration() -> Iterator[Saved]:
    layers = _linears()
    network = Network(tuple(layers))
    state = _stack(layers, nn.Tanh).state_dict()
    yield Saved("Lightning", _lightning(state, lr=1e-3), network, {})
    told = _lightning(state, lr=1e-3, activation="tanh")
    yield Saved("Lightning", told, network, {}, said="tanh")
    configuration = {"hidden": [6, 5], "activation": "nn.ReLU"}
    beside = {"config": configuration, "state_dict": state, "classes": ["a", "b", "c"]}
    yield Saved("configuration", beside, network, {}, said="relu")
    arrays = {
        "model": state,
        "mean": np.arange(4.0),
        "scale": np.ones(4, np.float32),
        "accuracy": np.float64(0.5),
        "feature_names": ["a", "b", "c", "d"],
    }
    yield Saved("arrays", arrays, network, {})
    yield Saved("arrays", arrays, network, {"pickle_protocol": 4})


def _prefixed() -> Iterator[Saved]:
    layers = _linears()
    network = Network(tuple(layers))
    made = _stack(layers, nn.ReLU)
    for prefix in ("module.", "_orig_mod.", "model.", "net.", "module._orig_mod."):
        state = {f"{prefix}{name}": each for name, each in made.state_dict().items()}
        yield Saved("prefixed", state, network, {})
        yield Saved("prefixed", state, network)
    averaged = AveragedModel(made).state_dict()
    yield Saved("averaged", averaged, network, {})
    parallel = nn.DataParallel(_called(layers, "fc1 fc2 fc3")).state_dict()
    yield Saved("prefixed", {"state_dict": parallel, "epoch": 1}, network, {})
    relu = _called(layers, "fc1 fc2 fc3")
    relu.add_module("relu", nn.ReLU())
    yield Saved("called relu", relu.state_dict(), network, {}, hinted="relu")


def _norm(width: int) -> nn.BatchNorm1d:
    made = nn.BatchNorm1d(width)
    with torch.no_grad():
        made.weight.copy_(torch.randn(width))
        made.bias.copy_(torch.randn(width))
        # What may come from any function, behind it as well as before it.
        assert made.running_mean is not None
        made.running_mean.copy_(torch.rand(width) * 0.5)
        assert made.running_var is not None
        made.running_var.copy_(torch.rand(width) * 0.2 + 0.01)
    return made


def _with_norms() -> Iterator[Saved]:
    layers, norms = _linears(), [_norm(6), _norm(5)]
    network = Network(tuple(layers), tuple(norms))
    modules = [layers[0], norms[0], nn.ReLU(), layers[1], norms[1], nn.ReLU()]
    state = nn.Sequential(*modules, layers[2]).state_dict()
    for content, options in ((state, {}), (state, None), ({"model": state}, {})):
        yield Saved("BatchNorm", content, network, options)
    named = {"fc1": layers[0], "bn1": norms[0], "fc2": layers[1], "bn2": norms[1]}
    beside = Modules({**named, "fc3": layers[2]}).state_dict()
    one = Saved("BatchNorm beside", beside, network, {}, is_unplaced=True)
    yield one
    yield replace(one, options=None)


def _without_biases() -> Iterator[Saved]:
    layers = [*_linears((4, 6, 5), bias=False), *_linears((5, 3))]
    state = _called(layers, "fc1 fc2 out").state_dict()
    yield Saved("no bias", state, Network(tuple(layers)), {})
    yield Saved("no bias", state, Network(tuple(layers)))
