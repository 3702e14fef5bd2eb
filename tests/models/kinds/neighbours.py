"""Kinds beside those that were seen: the same, a little otherwise. All are served."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from tests.models.kinds.formats import safetensor
from tests.models.kinds.kind import Kind, complete, kind, weights
from tests.models.kinds.named_layers import chain
from tests.models.kinds.neighbour_norms import BATCHNORMS, sequence
from tests.models.kinds.networks import (
    FUNCTIONS,
    Called,
    Chain,
    Lit,
    OnlyLayers,
    Wrapped,
    blocks,
    stack,
)
from tests.models.kinds.training import around, lightning, prefixed

SMALL = (5, 7, 3)
SQUARE = (5, 5, 5, 5)

# In every container they are in the order of their use, even where all are square.
SCHEMES = (
    "fc1 fc2 fc3",
    "FC1 FC2 FC3",
    "L1 L2 L3",
    "Linear_1 Linear_2 Linear_3",
    "layer9 layer10 layer11",
    "input hidden output",
    "first hidden last",
    "fc_in fc_mid fc_out",
    "fc1 fc2 logits",
    "hidden1 hidden2 classifier",
    "linear linear2 linear3",
)
STACKED = ("net", "features", "mlp", "seq", "main", "fc", "layers", "Model")
KEYS = (
    *("model_state_dict", "state_dict", "model", "net", "network", "weights"),
    *("params", "parameters", "best_model", "model_state", "ema", "MODEL"),
)
SAVED: dict[str, dict[str, object]] = {
    "zip": {},
    "legacy": {"_use_new_zipfile_serialization": False},
    "protocol 4": {"pickle_protocol": 4},
    "protocol 5": {"pickle_protocol": 5},
    "legacy, protocol 4": {
        "_use_new_zipfile_serialization": False,
        "pickle_protocol": 4,
    },
}
DTYPES = (torch.float16, torch.bfloat16, torch.float64)


def small(activation: str = "relu") -> Chain:
    return Chain(["fc1", "fc2"], SMALL, activation)


def functions(*between: nn.Module) -> nn.Module:
    """Make `fc1`, …, with modules between that are called as they are."""
    modules: dict[str, nn.Module] = {}
    for number, function in enumerate(between, 1):
        modules[f"fc{number}"] = nn.Linear(5, 5)
        modules[f"{type(function).__name__.lower()}{number}"] = function
    return Wrapped(**modules, fc9=nn.Linear(5, 3))


def called(function: Callable[[], nn.Module], name: str) -> nn.Module:
    return Called(function(), name)


def in_attribute(name: str, activation: str = "sigmoid") -> nn.Module:
    return Wrapped(**{name: stack(SQUARE, activation)})


def under(key: str, network: nn.Module) -> object:
    return {"epoch": 3, key: network.state_dict()}


def in_dtype(dtype: torch.dtype) -> Callable[[], nn.Module]:
    return lambda: small().to(dtype)


NAMES_AND_SIZES: dict[str, Kind] = {
    **{f"{names}.pt": chain(names, SQUARE, "relu") for names in SCHEMES},
    **{
        f"{names}.safetensors": safetensor(partial(Chain, names.split(), SQUARE))
        for names in SCHEMES
    },
    **{
        f"sizes {sizes}.pt": chain("fc1 fc2", sizes, "tanh")
        for sizes in ((1, 1, 1), (1, 7, 1), (7, 1, 7), (64, 64, 64), (5, 300, 1))
    },
    **{
        f"{name} 0 2 4, square.pt": kind(
            weights(partial(in_attribute, name, "relu")), "relu"
        )
        for name in STACKED
    },
    **{
        f"{name} 0 2 4, square.safetensors": safetensor(partial(in_attribute, name))
        for name in STACKED
    },
    "list, square.safetensors": safetensor(lambda: OnlyLayers(SQUARE)),
    "list of 12, square.safetensors": safetensor(lambda: OnlyLayers((5,) * 13)),
    "blocks, square.safetensors": safetensor(lambda: blocks(SQUARE)),
    "stack of 12, square.safetensors": safetensor(lambda: stack((5,) * 13)),
    "two stacks, each ends in a function.pt": kind(
        weights(
            lambda: Wrapped(
                encoder=nn.Sequential(*stack((5, 7, 6), "relu"), nn.ReLU()),
                decoder=stack((6, 7, 5), "relu"),
            )
        ),
        "relu",
    ),
    "stack and head.pt": kind(
        weights(
            lambda: Wrapped(
                body=nn.Sequential(*stack((5, 7, 6), "relu"), nn.ReLU()),
                head=nn.Linear(6, 3),
            )
        ),
        "relu",
    ),
    "one layer, one unit.pt": complete(weights(lambda: nn.Linear(1, 1)), "none"),
    "one layer.safetensors": Kind(
        safetensor(lambda: Chain(["fc"], (5, 1))).make, {}, "none"
    ),
    "one layer without bias.pt": complete(
        weights(lambda: nn.Linear(5, 3, bias=False)), "none"
    ),
}

CONTAINERS: dict[str, Kind] = {
    **{
        f"{key}, {how}.pt": around(
            partial(under, key),
            small,
            "relu",
            **options,
        )
        for key in KEYS
        for how, options in SAVED.items()
    },
    **{
        f"{dtype}, {how}.pt".removeprefix("torch."): around(
            lambda network: {"state_dict": network.state_dict(), "lr": 0.1},
            in_dtype(dtype),
            "relu",
            **options,
        )
        for dtype in DTYPES
        for how, options in SAVED.items()
    },
    **{
        f"{dtype}.safetensors".removeprefix("torch."): Kind(
            safetensor(in_dtype(dtype)).make, {"activation": ("relu",)}, "relu"
        )
        for dtype in DTYPES
    },
    "deep.pt": around(
        lambda network: {"a": {"b": [{"c": network.state_dict()}]}}, small, "relu"
    ),
    "in a tuple.pt": around(
        lambda network: (network.state_dict(), {"epoch": 3}), small, "relu"
    ),
    "DataParallel in Lightning.ckpt": around(
        lambda network: lightning(Lit(nn.DataParallel(network))), small, "relu"
    ),
    "_orig_mod in Lightning.ckpt": around(
        lambda network: {
            "state_dict": {
                f"model._orig_mod.net.{name}": tensor
                for name, tensor in network.state_dict().items()
            }
        },
        small,
        "relu",
    ),
    "a state that was named.pt": Kind(
        around(
            lambda network: {
                "ema": network.state_dict(),
                "model": small().state_dict(),
            },
            small,
        ).make,
        {"activation": ("relu",), "state": "ema"},
        "relu",
    ),
    "actor.pt": Kind(
        around(
            lambda network: Wrapped(actor=network, critic=small()).state_dict(),
            small,
        ).make,
        {"activation": ("relu",), "state": "actor"},
        "relu",
    ),
    "many prefixes.pt": prefixed("module._orig_mod.module.model.net."),
}

BETWEEN: dict[str, Kind] = {
    **{f"{name}.pt": chain("fc1 fc2", SMALL, name) for name in FUNCTIONS},
    **{
        f"{name}, called so.pt": kind(weights(partial(called, make, name)), name)
        for name, make in FUNCTIONS.items()
        if name != "none"
    },
    "called act.pt": kind(weights(lambda: Called(nn.GELU(), "act")), "gelu"),
    "leaky_relu:0.2.pt": kind(
        weights(lambda: Called(nn.LeakyReLU(0.2), "lrelu")), "leaky_relu:0.2"
    ),
    "gelu:tanh.pt": kind(weights(lambda: Called(nn.GELU("tanh"), "gelu")), "gelu:tanh"),
    "one for each.pt": Kind(
        weights(lambda: functions(nn.ReLU(), nn.Tanh(), nn.ELU(), nn.Softplus())),
        {"activation": ("relu", "tanh", "elu", "softplus")},
        "",
    ),
    "some none.pt": Kind(
        weights(
            lambda: sequence(
                nn.Linear(5, 7),
                nn.ReLU(),
                nn.Linear(7, 6),
                nn.Dropout(0.1),
                nn.Linear(6, 3),
            )
        ),
        {"activation": ("relu", "none")},
        "",
    ),
}
NEIGHBOURS: dict[str, Kind] = {
    **NAMES_AND_SIZES,
    **CONTAINERS,
    **BETWEEN,
    **{f"BatchNorm {name}": kind for name, kind in BATCHNORMS.items()},
}
