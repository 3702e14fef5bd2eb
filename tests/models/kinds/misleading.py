"""Networks whose shapes and names allow another reading, which is a wrong one.

All are refused, or ask; what a file cannot tell must not be read into it.
"""

from collections.abc import Callable
from functools import partial

import safetensors.torch
from torch import nn

from tests.models.kinds.kind import Kind, Made, refused, saved
from tests.models.kinds.neighbours import called
from tests.models.kinds.networks import Called, Chain, Wrapped, stack
from tests.models.kinds.strangers import state_of

Build = Callable[[], nn.Module]


def square(names: str) -> nn.Module:
    """Make layers that are all 5 to 5, in the order in which they are named."""
    return Wrapped(**{name: nn.Linear(5, 5) for name in names.split()})


def listed(count: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(5, 5) for _ in range(count))


def norm() -> nn.Module:
    return nn.BatchNorm1d(5)


def safetensors_of(build: Build) -> Callable[[], Made]:
    return lambda: Made(safetensors.torch.save(build().state_dict()))


def with_configuration(**beside: object) -> Callable[[], Made]:
    """Make a file whose configuration speaks against ReLU, or says nothing of it."""
    weights = Chain(["fc1", "fc2"], (5, 7, 3)).state_dict()
    return lambda: Made(saved({"state_dict": weights, **beside}))


def adapter() -> nn.Module:
    """Make what LoRA adds to two layers, without them."""
    layers = {
        name: Wrapped(
            lora_A=nn.Linear(inputs, 2, bias=False),
            lora_B=nn.Linear(2, outputs, bias=False),
        )
        for name, inputs, outputs in (("fc1", 5, 7), ("fc2", 7, 3))
    }
    return Wrapped(**layers)


# The order that is read is not that of their use.
ORDERS: dict[str, Callable[[], Made]] = {
    # `fc` may be the first as well as the last.
    "fc1 fc2 fc.safetensors": safetensors_of(lambda: square("fc1 fc2 fc")),
    "fcout first.pt": state_of(lambda: square("fcout fc1 fc2")),
    "outLayer first.pt": state_of(lambda: square("outLayer inLayer")),
    # A list between fc1 and fc2 is the tutorial's; here it comes last.
    "fc1 fc2 layers.pt": state_of(
        lambda: Wrapped(fc1=nn.Linear(5, 5), fc2=nn.Linear(5, 5), layers=listed(1))
    ),
    # Two of them side by side, the second not behind the first.
    "models, each a network.pt": state_of(
        lambda: Wrapped(
            models=nn.ModuleList(Chain(["fc1", "fc2"], (5, 7, 5)) for _ in range(2))
        )
    ),
    "actor with Softmax, and critic.pt": state_of(
        lambda: Wrapped(
            actor=stack((5, 7, 5), final=nn.Softmax(-1)), critic=stack((5, 7, 1))
        )
    ),
    # What encoders give often has no function.
    "encoder and decoder.pt": state_of(
        lambda: Wrapped(
            encoder=Chain(["fc1", "fc2"], (5, 7, 2)),
            decoder=Chain(["fc1", "fc2"], (2, 7, 5)),
        )
    ),
    "numbered, then a function: a Sequential.pt": state_of(
        lambda: Wrapped(
            layers=nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 7), nn.ReLU()),
            out=nn.Linear(7, 3),
        )
    ),
    "numbered from 1: a Sequential.pt": state_of(
        lambda: Wrapped(
            layers=nn.Sequential(nn.Flatten(), nn.Linear(5, 7), nn.Linear(7, 7)),
            out=nn.Linear(7, 3),
        )
    ),
}

# Modules of two dimensions that are no layer of a chain.
NO_LAYERS: dict[str, Callable[[], Made]] = {
    "emb.pt": state_of(
        lambda: Wrapped(
            emb=nn.Embedding(9, 5), fc1=nn.Linear(5, 7), fc2=nn.Linear(7, 5)
        )
    ),
    "query key value.pt": state_of(lambda: square("query key value out")),
    "q_proj k_proj v_proj.pt": state_of(lambda: square("q_proj k_proj v_proj o_proj")),
    "gate.pt": state_of(lambda: square("fc gate out")),
    "adapter.pt": state_of(adapter),
    "adapter.safetensors": safetensors_of(adapter),
    "layernorm without weights.pt": state_of(
        lambda: Called(nn.LayerNorm(7, elementwise_affine=False), "layernorm")
    ),
}

# Where it stands is a guess: it was made at another place than it is used.
NORMS: dict[str, Callable[[], Made]] = {
    "list and bn1, bn2.pt": state_of(
        lambda: Wrapped(layers=listed(3), bn1=norm(), bn2=norm())
    ),
    "bn made last.pt": state_of(
        lambda: Wrapped(fc1=nn.Linear(5, 5), fc2=nn.Linear(5, 5), bn=norm())
    ),
    "bn_in made last.pt": state_of(
        lambda: Wrapped(fc1=nn.Linear(5, 5), fc2=nn.Linear(5, 5), bn_in=norm())
    ),
    "bn1 made before fc1.pt": state_of(
        lambda: Wrapped(bn1=norm(), fc1=nn.Linear(5, 5), fc2=nn.Linear(5, 5))
    ),
}

# Modules that are called as functions which are not in the table.
FUNCTIONS: dict[str, Callable[[], Made]] = {
    f"called {name}.pt": state_of(partial(called, make, name))
    for name, make in (
        ("mish", nn.Mish),
        ("relu6", nn.ReLU6),
        ("hardtanh", nn.Hardtanh),
        ("hardswish", nn.Hardswish),
        ("hardsigmoid", nn.Hardsigmoid),
        ("logsigmoid", nn.LogSigmoid),
        ("softsign", nn.Softsign),
        ("celu", nn.CELU),
        ("rrelu", nn.RReLU),
    )
}

CONFIGURATIONS: dict[str, Callable[[], Made]] = {
    "leaky_relu.pt": with_configuration(config={"activation": "leaky_relu"}),
    "mish.pt": with_configuration(config={"activation": "mish"}),
    "a class.pt": with_configuration(
        activation="<class 'torch.nn.modules.activation.Tanh'>"
    ),
}

MISLEADING: dict[str, Kind] = {
    name: refused(make, "relu")
    for name, make in {
        **ORDERS,
        **NO_LAYERS,
        **NORMS,
        **FUNCTIONS,
        **CONFIGURATIONS,
    }.items()
}

# The function of the output, or of another network: nothing says the one between.
SILENT: dict[str, Kind] = {
    name: refused(make)
    for name, make in {
        "of the output.pt": with_configuration(
            config={"output": {"activation": "sigmoid"}}
        ),
        "of the critic.pt": with_configuration(critic={"activation": "tanh"}),
        "elu with alpha.pt": with_configuration(
            config={"activation": "elu", "alpha": 2.0}
        ),
    }.items()
}
