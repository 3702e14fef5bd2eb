"""Networks that are none of linear layers with functions between: all are refused."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from tests.models.kinds.kind import Kind, Made, refused, saved
from tests.models.kinds.networks import Chain, Wrapped, stack


def state_of(build: Callable[[], nn.Module]) -> Callable[[], Made]:
    """Make the file of a `state_dict`; what the network computes does not matter."""
    return lambda: Made(saved(build().state_dict()))


def between(*modules: nn.Module) -> nn.Module:
    """Make a stack with other modules behind its first layer."""
    return nn.Sequential(nn.Linear(5, 7), *modules, nn.ReLU(), nn.Linear(7, 3))


def beside(**modules: nn.Module) -> nn.Module:
    """Make `fc1` and `fc2` with other modules before them."""
    return Wrapped(**modules, fc1=nn.Linear(5, 7), fc2=nn.Linear(7, 3))


def pruned() -> nn.Module:
    network = stack()
    prune.l1_unstructured(network[0], "weight", 0.5)  # type: ignore[no-untyped-call]
    return network


def with_tensors(**tensors: torch.Tensor) -> Callable[[], Made]:
    """Make `fc1` and `fc2` with tensors among them, a dot for each two underscores."""
    state = Chain(["fc1", "fc2"], (5, 7, 3)).state_dict()
    more = {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    return lambda: Made(saved({**state, **more}))


# What each is made by, and a word that its refusal says.
STRANGERS: dict[str, tuple[Callable[[], Made], str]] = {
    "lstm.pt": (state_of(lambda: beside(lstm=nn.LSTM(5, 5))), "recurrent"),
    "gru.pt": (state_of(lambda: beside(rnn=nn.GRU(5, 5))), "recurrent"),
    "lstm cell.pt": (state_of(lambda: beside(cell=nn.LSTMCell(5, 5))), "weight_hh"),
    "conv1d.pt": (state_of(lambda: beside(conv=nn.Conv1d(5, 5, 1))), "convolution"),
    "conv2d.pt": (state_of(lambda: beside(c1=nn.Conv2d(1, 5, 3))), "convolution"),
    "embedding.pt": (
        state_of(lambda: beside(embedding=nn.Embedding(5, 5))),
        "Embedding",
    ),
    "embed1.pt": (state_of(lambda: beside(embed1=nn.Embedding(5, 5))), "Embedding"),
    "attention.pt": (
        state_of(lambda: beside(attn=nn.MultiheadAttention(5, 1))),
        "attention",
    ),
    "transformer.pt": (
        state_of(lambda: beside(enc=nn.TransformerEncoderLayer(5, 1, 5))),
        "attention",
    ),
    "attention of layers.pt": (
        state_of(lambda: beside(attention=Chain(["q", "k", "v"], (5, 5, 5, 5)))),
        "attention",
    ),
    "group norm.pt": (state_of(lambda: between(nn.GroupNorm(7, 7))), "norm"),
    "instance norm.pt": (
        state_of(lambda: between(nn.InstanceNorm1d(7, affine=True))),
        "norm",
    ),
    "rms norm.pt": (state_of(lambda: between(nn.RMSNorm(7))), "RMSNorm"),
    "ln1.pt": (state_of(lambda: beside(ln1=nn.LayerNorm(5))), "LayerNorm"),
    "prelu of each unit.pt": (state_of(lambda: between(nn.PReLU(7))), "PReLU"),
    "BatchNorm without statistics.pt": (
        state_of(lambda: between(nn.BatchNorm1d(7, track_running_stats=False))),
        "norm",
    ),
    "two BatchNorms.pt": (
        state_of(lambda: between(nn.BatchNorm1d(7), nn.ReLU(), nn.BatchNorm1d(7))),
        "two BatchNorms",
    ),
    "bilinear.pt": (state_of(lambda: beside(pair=nn.Bilinear(5, 5, 5))), "not served"),
    "spectral_norm.pt": (
        state_of(
            lambda: nn.Sequential(
                nn.utils.spectral_norm(nn.Linear(5, 7)), nn.ReLU(), nn.Linear(7, 3)
            )
        ),
        "spectral_norm",
    ),
    "spectral_norm, parametrized.pt": (
        state_of(lambda: beside(fc0=parametrizations.spectral_norm(nn.Linear(5, 5)))),
        "parametrization",
    ),
    "weight_norm, old.pt": (
        state_of(lambda: beside(fc0=nn.utils.weight_norm(nn.Linear(5, 5)))),
        "weight_norm",
    ),
    "orthogonal.pt": (
        state_of(lambda: beside(fc0=parametrizations.orthogonal(nn.Linear(5, 5)))),
        "parametrization",
    ),
    "pruned.pt": (state_of(pruned), "pruned"),
    "quantised.pt": (
        with_tensors(fc1__scale=torch.ones(()), fc1___packed_params=torch.ones(2)),
        "quantised",
    ),
    "lora.pt": (
        with_tensors(fc1__lora_A=torch.ones(2, 5), fc1__lora_B=torch.ones(7, 2)),
        "LoRA",
    ),
    "shortcut.pt": (state_of(lambda: beside(shortcut=nn.Linear(5, 5))), "residual"),
    "skip.pt": (state_of(lambda: beside(skip_fc=nn.Linear(5, 5))), "residual"),
    "a scale.pt": (with_tensors(scale=torch.ones(3)), "unknown tensors: scale"),
    "a mean.pt": (with_tensors(mean=torch.ones(5), std=torch.ones(5)), "mean"),
    "another part.pt": (with_tensors(fc1__gamma=torch.ones(7)), "fc1.gamma"),
    "whole numbers.pt": (
        with_tensors(fc1__weight=torch.ones(7, 5, dtype=torch.int64)),
        "fc1.weight is",
    ),
    "NaN.pt": (with_tensors(fc1__bias=torch.full((7,), torch.nan)), "NaN"),
    "actor and critic.pt": (
        state_of(
            lambda: Wrapped(actor=stack((5, 7, 5)), critic=stack((5, 7, 1))),
        ),
        "actor.2 and critic.0",
    ),
    "two heads.pt": (
        state_of(
            lambda: Wrapped(
                fc=nn.Linear(5, 7), mean=nn.Linear(7, 3), deviation=nn.Linear(7, 3)
            )
        ),
        "make no row",
    ),
    "experts.pt": (
        state_of(
            lambda: Wrapped(experts=nn.ModuleList(nn.Linear(5, 5) for _ in range(3)))
        ),
        "experts",
    ),
    "two layers side by side.pt": (
        state_of(lambda: nn.Sequential(*stack((5, 7, 6)), nn.Linear(6, 3))),
        "no function",
    ),
}
STRANGE_KINDS: dict[str, Kind] = {
    name: refused(make, "relu") for name, (make, _) in STRANGERS.items()
}
