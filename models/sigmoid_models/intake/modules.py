"""The modules that tensors belong to, by their names and shapes.

They are linear layers and BatchNorms; any other is an error that names it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sigmoid_models.files.stored import Stored
from sigmoid_models.intake.refusal import RefusedError, listed

MAX_LAYERS: Final = 1024
SERVED: Final = "serve linear layers with a function between each two"

MAX_DIGITS: Final = 9
"""A number in a name has fewer digits; a longer one is a word."""

# No layers: the loss's own weights, counters, and what metrics keep.
_IGNORED: Final = re.compile(
    r"(?:.*\.)?(?:loss|loss_fn|loss_function|criterion)\.[^.]+|(?:.*\.)?n_averaged"
)

# Names of a module's tensors, or words in its path, that only other modules have.
_PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "in_proj_weight": ("attention", SERVED),
    "weight_ih_l0": ("a recurrent layer", SERVED),
    "weight_g": ("a weight_norm", "call remove_weight_norm on each layer, then save"),
    "original0": (
        "a weight_norm",
        "call torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight') on "
        "each layer, then save",
    ),
    "original": (
        "a parametrization",
        "call torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight') on "
        "each layer, then save",
    ),
    "weight_u": (
        "a spectral_norm",
        "call remove_spectral_norm on each layer, then save",
    ),
    "weight_mask": (
        "a pruned layer",
        "call torch.nn.utils.prune.remove(layer, 'weight') on each layer, then save",
    ),
    "_packed_params": ("a quantised layer", "save the network before quantisation"),
    "lora_A": ("a LoRA adapter", "merge the adapter into the weights, then save"),
}
_GRAPH: Final = "a graph convolution"
_WORDS: Final[Mapping[str, str]] = {
    "attn": "attention",
    "attention": "attention",
    "shortcut": "residual links",
    "skip": "residual links",
    "residual": "residual links",
    "resblock": "residual links",
    "resblocks": "residual links",
    "downsample": "residual links",
    "embed": "an Embedding",
    "embedding": "an Embedding",
    "embeddings": "an Embedding",
    "res": "residual links",
    "highway": "a highway layer",
    "emb": "an Embedding",
    "wte": "an Embedding",
    "wpe": "an Embedding",
    "lora": "a LoRA adapter",
    "adapter": "an adapter",
    "adapters": "an adapter",
    "expert": "a mixture of experts",
    "experts": "a mixture of experts",
    "router": "a mixture of experts",
    "gate": "a gated layer",
    "i2h": "a recurrent layer",
    "h2h": "a recurrent layer",
    "hh": "a recurrent layer",
    "whh": "a recurrent layer",
    "conv": _GRAPH,
    "convs": _GRAPH,
    "gcn": _GRAPH,
    "gnn": _GRAPH,
    "gat": _GRAPH,
    "prelu": "a PReLU",
    "layernorm": "a LayerNorm",
    "ln": "a LayerNorm",
    "groupnorm": "a GroupNorm",
    "rmsnorm": "an RMSNorm",
}
_RUNNING: Final = {"running_mean", "running_var"}
_COUNTER: Final = "num_batches_tracked"


@dataclass(frozen=True)
class Module:
    """A linear layer or a BatchNorm.

    Attributes:
        name: Its path in the network.
        kind: Which of the two it is.
        tensors: By the last part of their name.
    """

    name: str
    kind: Literal["linear", "batchnorm"]
    tensors: Mapping[str, Stored]

    @property
    def container(self) -> str:
        """The path of what it stands in."""
        return self.name.rpartition(".")[0]

    @property
    def number(self) -> int | None:
        """Its place in a numbered container."""
        last = self.name.rpartition(".")[2]
        return int(last) if last.isdecimal() and len(last) < MAX_DIGITS else None

    @property
    def width(self) -> int:
        """Number of its outputs."""
        part = "weight" if self.kind == "linear" else "running_mean"
        return self.tensors[part].shape[0]

    @property
    def inputs(self) -> int:
        """Number of its inputs."""
        part = "weight" if self.kind == "linear" else "running_mean"
        return self.tensors[part].shape[-1]

    @property
    def shown(self) -> str:
        """Its name and sizes, for messages."""
        return f"{self.name[:64] or 'weight'} ({self.inputs} to {self.width})"


def find_modules(tensors: Mapping[str, Stored], *, is_proven: bool) -> list[Module]:
    """Find the modules, in the order of the tensors.

    Args:
        tensors: By name.
        is_proven: Whether rows with known outputs will be compared; then words in
            names do not count.

    Raises:
        RefusedError: One of them is of another kind.
    """
    parts: dict[str, dict[str, Stored]] = {}
    matrices = sum(len(tensor.shape) == 2 for tensor in tensors.values())
    if matrices > MAX_LAYERS:
        finding = f"it has {matrices} layers, more than {MAX_LAYERS}"
        raise RefusedError(finding, "serve a smaller network")
    for name, tensor in tensors.items():
        # A layer may be called `loss`, too.
        if not _IGNORED.fullmatch(name) or f"{name.rpartition('.')[0]}.bias" in tensors:
            module, _, part = name.rpartition(".")
            parts.setdefault(module, {})[part] = tensor
    for name, own in parts.items():
        _check_parts(name, own)
    return [_module(name, own, is_proven) for name, own in parts.items()]


def check_hidden(tensors: Mapping[str, Stored], modules: Sequence[str]) -> None:
    """Check that no module without tensors is called as norms are.

    Args:
        tensors: By name.
        modules: Names of all modules, where the file tells them.

    Raises:
        RefusedError: One is: a LayerNorm without weights has none, and normalises.
    """
    owners = {name.rpartition(".")[0] for name in tensors}
    for name in modules:
        kind = _WORDS.get(name.rpartition(".")[2].rstrip("_0123456789").lower(), "")
        if name not in owners and kind.endswith("Norm"):
            raise _other(name, kind)


def _check_parts(name: str, own: Mapping[str, Stored]) -> None:
    """Check that no tensor is one that only other modules have."""
    for part, (kind, remedy) in _PARTS.items():
        if part in own:
            finding = f"it has {kind} ({_at(name)}), which is not served"
            raise RefusedError(finding, remedy)


def _module(name: str, own: dict[str, Stored], is_proven: bool) -> Module:
    if word := _word(name, own, is_proven):
        raise _other(name, word)
    if own.keys() >= _RUNNING:
        return Module(name, "batchnorm", _checked_norm(name, own))
    weight = own.get("weight")
    strangers = sorted(own.keys() - {"weight", "bias"})
    if weight is None or strangers:
        names = [
            f"{name}.{part}" if name else part for part in strangers or sorted(own)
        ]
        raise RefusedError(
            f"unknown tensors: {listed(names)}",
            f"{SERVED}; what a network computes with other tensors is not known; if "
            "they are of another network, choose yours: sigmoid-serve convert --state "
            "PREFIX",
        )
    if len(weight.shape) != 2:
        raise _other(name, _kind_of_weight(weight, own))
    return Module(name, "linear", _checked_linear(name, own))


def _word(name: str, own: dict[str, Stored], is_proven: bool) -> str | None:
    """Find a word for another kind of module in a name, as far as shapes allow it."""
    words = re.split(r"[._]|(?<=[a-z])(?=[A-Z])", name)
    words = [word.lower() for word in words]
    kinds = [
        _WORDS.get(word) or _WORDS.get(re.sub(r"\d+$", "", word)) for word in words
    ]
    kind = next((kind for kind in kinds if kind), None)
    if kind is None:
        return None
    weight = own.get("weight")
    is_matrix = weight is not None and len(weight.shape) == 2
    if is_matrix and kind[-4:] in ("ReLU", "Norm"):
        return None
    if weight is not None and not is_matrix and kind == _GRAPH:
        return None
    return None if is_matrix and is_proven else kind


def _kind_of_weight(weight: Stored, own: Mapping[str, Stored]) -> str:
    if len(weight.shape) > 2:
        return "a convolution"
    if "bias" in own:
        return "a LayerNorm or another norm without running statistics"
    return "a PReLU" if weight.shape in ((), (1,)) else "a PReLU or an RMSNorm"


def _other(name: str, kind: str) -> RefusedError:
    verb = "are" if kind.endswith("links") else "is"
    return RefusedError(f"it has {kind} ({_at(name)}), which {verb} not served", SERVED)


def _at(name: str) -> str:
    return name[:64] or "its weight"


def _checked_linear(name: str, own: dict[str, Stored]) -> Mapping[str, Stored]:
    shape, bias = own["weight"].shape, own.get("bias")
    if 0 in shape or (bias is not None and bias.shape != shape[:1]):
        raise RefusedError(
            f"{_at(name)} has a weight of the shape {list(shape)} and a bias of "
            f"{list(bias.shape) if bias else 'none'}, where a linear layer has "
            "[out, in] and [out]",
            "save the network's own state_dict",
        )
    return own


def _checked_norm(name: str, own: dict[str, Stored]) -> Mapping[str, Stored]:
    parts = {part: tensor for part, tensor in own.items() if part != _COUNTER}
    shapes = {tensor.shape for tensor in parts.values()}
    is_right = len(shapes) == 1 and len(next(iter(shapes))) == 1
    if not is_right or not parts.keys() <= {"weight", "bias", *_RUNNING}:
        finding = f"{_at(name)} is no BatchNorm1d: its tensors are of several shapes"
        raise RefusedError(finding, SERVED)
    return parts
