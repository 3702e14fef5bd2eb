"""The network in a file without a card: its layers, and what is still to be named."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sigmoid_models.intake.batchnorm import Norm, place_norms
from sigmoid_models.intake.branches import check_branches
from sigmoid_models.intake.configuration import Configuration, read_configuration
from sigmoid_models.intake.modules import Module, check_hidden, find_modules
from sigmoid_models.intake.named import Named
from sigmoid_models.intake.order import chosen, common_prefix, ordered
from sigmoid_models.intake.refusal import RefusedError, listed
from sigmoid_models.intake.stack import check_between, has_behind, last_numbers
from sigmoid_models.intake.weights import Weights

# Modules that are called so are what they are called; the output's, too. The last are
# in no table of ours.
_CALLED: Final = re.compile(
    r"(relu6|relu|leaky_?relu|lrelu|tanh|elu|selu|gelu|silu|swish|softplus|"
    r"(?:log_?)?softmax|mish|celu|rrelu|glu|soft_?sign|log_?sigmoid|"
    r"hard_?(?:tanh|swish|sigmoid|shrink)|(?:soft|tanh)_?shrink)_?[0-9]*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Network:
    """A network that was found.

    Attributes:
        layers: Its linear layers, in the order of their use.
        norms: Its BatchNorms; the place of one may not be known.
        kind: The class of the tutorial with these names, else `Sequential`.
        configuration: What values beside the weights say.
        called: Modules that are called as functions are: `relu`, `tanh1`.
        behind: What stands behind the last layer, where anything does.
        state: Where in the file its weights stand; None if the file is they.
        unused: Layers that are not in use.
    """

    layers: tuple[Module, ...]
    norms: tuple[Norm, ...]
    kind: str
    configuration: Configuration
    called: tuple[str, ...]
    behind: str | None
    state: str | None
    unused: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """Its layers with their sizes, for messages."""
        return listed([layer.shown for layer in self.layers])


def find_network(weights: Weights, named: Named) -> Network:
    """Find the network that weights make.

    Args:
        weights: Of a file.
        named: What its user says of it.

    Raises:
        RefusedError: They make no network that is served, or not one alone.
    """
    modules = find_modules(weights.tensors, is_proven=named.is_proven)
    if not named.is_proven:
        check_hidden(weights.tensors, weights.modules)
    linear = [module for module in modules if module.kind == "linear"]
    if not linear:
        raise RefusedError("no linear layer is in it", "serve linear layers")
    if named.layers:
        layers = chosen(linear, named.layers)
    else:
        layers = ordered(linear, is_ordered=weights.is_ordered)
        if not named.is_proven:
            check_branches(layers)
    norms = [module for module in modules if module.kind == "batchnorm"]
    counted = {module.name for module in modules}
    others = [name for name in weights.modules if name not in counted]
    if len(norms) > len(layers) + 1:
        finding = f"it has {len(norms)} BatchNorms, more than places for them"
        raise RefusedError(finding, "save the network with its layers folded")
    check_between(layers, norms, others, is_named=_is_each_named(named))
    used = {layer.name for layer in layers}
    return Network(
        layers=tuple(layers),
        norms=tuple(place_norms(norms, layers, modules, is_ordered=weights.is_ordered)),
        kind=_kind(layers),
        configuration=read_configuration(weights.beside),
        called=_called(others),
        behind=_behind(layers[-1], others),
        state=weights.state,
        unused=tuple(each.name for each in linear if each.name not in used),
    )


def _is_each_named(named: Named) -> bool:
    """Tell whether the layers are named, and not one function for all of them."""
    if named.layers is None:
        return False
    return named.activation is None or len(named.activation) == len(named.layers) - 1


def _kind(layers: Sequence[Module]) -> str:
    """Name the tutorial's class whose layers are called and sized so."""
    prefix = common_prefix(layers)
    names = [layer.name[len(prefix) :] for layer in layers]
    if names == ["fc1", "fc2"]:
        return "Classifier"
    middle = [f"layers.{index}" for index in range(len(layers) - 2)]
    is_deep = len(layers) > 2 and names == ["fc1", *middle, "fc2"]
    is_even = len({layer.width for layer in layers[:-1]}) == 1
    return "DeepClassifier" if is_deep and is_even else "Sequential"


def _called(modules: Sequence[str]) -> tuple[str, ...]:
    """List the modules whose whole name is that of a function."""
    return tuple(name for name in modules if _CALLED.fullmatch(name.rpartition(".")[2]))


def function_called(name: str, others: Sequence[str] = ()) -> str:
    """Return the function's name in a module's name that is in `Network.called`.

    Args:
        name: Of the module.
        others: All of `Network.called`: `relu6` is a ReLU behind a `relu5`.
    """
    match = _CALLED.fullmatch(name.rpartition(".")[2])
    assert match is not None
    word = match[1].lower()
    if word == "relu6" and any(other.lower().endswith("relu5") for other in others):
        return "relu"
    return "leaky_relu" if word == "lrelu" else word


def _behind(last: Module, modules: Sequence[str]) -> str | None:
    """Describe what stands behind the last layer, where a file tells it."""
    for name in _called(modules):
        if "softmax" in function_called(name):
            return f"a module called {name[:64]}"
    if has_behind(last, last_numbers(modules)):
        where = f" of {last.container[:64]}" if last.container else ""
        return f"a module{where} behind {last.name[:64]}"
    return None
