"""Kinds by what stands around the weights, as training programs save it."""

from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.models.kinds.kind import Kind, Made, complete, kind, saved
from tests.models.kinds.networks import Chain, HiddenLayers, Lit, stack

Content = Callable[[nn.Module], object]


@cache
def plain() -> Chain:
    """Make the network that stands behind all prefixes."""
    return Chain(["fc1", "fc2"], (5, 7, 3))


@cache
def trained() -> tuple[nn.Module, dict[str, Any]]:
    """Return it after one step of an optimiser, with that one's state."""
    network = deepcopy(plain())
    optimiser = torch.optim.Adam(network.parameters())
    rows, labels = torch.randn(9, 5), torch.randint(0, 3, (9,))
    loss = nn.functional.cross_entropy(network(rows), labels)
    torch.autograd.backward(loss)
    optimiser.step()
    return network, optimiser.state_dict()


@cache
def lightning_module() -> Lit:
    """Make a stack as a LightningModule holds it."""
    return Lit(stack())


def around(
    content: Content,
    network: Callable[[], nn.Module] = plain,
    activation: str = "sigmoid",
    **options: object,
) -> Kind:
    """Describe a file that is made of a network.

    Args:
        content: Makes of it what is saved.
        network: Makes it.
        activation: The function between its layers.
        options: Of `torch.save`.
    """

    def make() -> Made:
        made = network()
        return Made(saved(content(made), **options), made)

    return kind(make, activation)


def trained_as(key: str, **beside: object) -> Kind:
    """Describe what training programs save: weights under a key, the rest beside it."""
    return kind(lambda: training_file(key, "optimizer", **beside))


def training_file(key: str, optimiser: str, **beside: object) -> Made:
    """Make such a file.

    Args:
        key: Of the weights.
        optimiser: Key of the optimiser's state; empty for none.
        beside: Other values.
    """
    network, steps = trained()
    state = {optimiser: steps} if optimiser else {}
    return Made(saved({key: network.state_dict(), **state, **beside}), network)


def prefixed(prefix: str) -> Kind:
    """Describe weights with something before each name, as wrappers put it there."""
    return around(
        lambda network: OrderedDict(
            (prefix + name, tensor) for name, tensor in network.state_dict().items()
        )
    )


def averaged(network: nn.Module) -> object:
    """Return an average's weights, with a counter among them."""
    model = torch.optim.swa_utils.AveragedModel(network)
    model.update_parameters(network)
    return model.state_dict()


def lightning(network: nn.Module, **beside: object) -> dict[str, object]:
    """Return what Lightning saves of a module."""
    return {
        "epoch": 3,
        "global_step": 40,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": network.state_dict(),
        "loops": {},
        "callbacks": {},
        "optimizer_states": [],
        "lr_schedulers": [],
        **beside,
    }


def with_buffer() -> Made:
    """Make a Lightning file in which a loss keeps a weight: no network's."""
    network = Lit(stack((5, 7, 3)), has_buffer=True)
    return Made(saved(lightning(network)), network)


def chatbot() -> Made:
    """Make the file of a tutorial that thousands of repositories hold."""
    network = Chain(["l1", "l2", "l3"], (5, 8, 8, 3), "relu")
    beside = {
        "input_size": 5,
        "hidden_size": 8,
        "output_size": 3,
        "all_words": list("abcde"),
        "tags": list("xyz"),
    }
    return Made(saved({"model_state": network.state_dict(), **beside}), network)


def course() -> Made:
    """Make the file of a well-known course."""
    network = HiddenLayers()
    beside = {"input_size": 5, "output_size": 3, "hidden_layers": [7, 6]}
    return Made(saved({**beside, "state_dict": network.state_dict()}), network)


def two_networks() -> Made:
    """Make a file of two; the truth is that of the generator."""
    network, _ = trained()
    other = Chain(["fc1", "fc2"], (3, 7, 1)).state_dict()
    both = {"generator": network.state_dict(), "discriminator": other}
    return Made(saved(both), network)


PREFIXES: dict[str, Kind] = {
    "prefix_module.pt": around(lambda network: nn.DataParallel(network).state_dict()),
    "prefix_orig_mod.pt": prefixed("_orig_mod."),
    "prefix_module__orig_mod.pt": prefixed("module._orig_mod."),
    "prefix_orig_mod_module.pt": prefixed("_orig_mod.module."),
    "prefix_model.pt": prefixed("model."),
    "prefix_net.pt": prefixed("net."),
    "prefix_classifier.pt": prefixed("classifier."),
    "averaged_model.pt": around(averaged),
    "named_parameters.pt": around(lambda network: dict(network.named_parameters())),
    "state_dict_and_number.pt": around(
        lambda network: OrderedDict(network.state_dict(), custom_stuff=123)
    ),
}

TRAINING: dict[str, Kind] = {
    "train_model_state_dict.pt": kind(
        lambda: training_file(
            "model_state_dict", "optimizer_state_dict", epoch=9, loss=0.1
        )
    ),
    "train_state_dict.pth": trained_as("state_dict", epoch=9, best_acc=0.9),
    "train_model_state.pth": kind(
        lambda: training_file("model_state", "optim_state", epoch=9)
    ),
    "train_model.pt": trained_as("model", epoch=9),
    "train_net.pt": kind(lambda: training_file("net", "", acc=0.9, epoch=9)),
    "train_parameters.pt": trained_as("parameters"),
    "train_state_dict.pth.tar": trained_as("state_dict", epoch=9, arch="mlp"),
    "chatbot.pth": kind(chatbot, "relu"),
    "udacity.pth": kind(course),
    # It says its own function, features and classes.
    "train_with_config.pt": complete(
        lambda: training_file(
            "model_state_dict",
            "",
            config={"input_dim": 5, "hidden_dim": 7, "activation": "sigmoid"},
            feature_names=list("abcde"),
            classes=list("xyz"),
        )
    ),
    # Arrays of NumPy are data, not code.
    "train_numpy_scaler.pt": kind(
        lambda: training_file("model_state", "", X_min=np.zeros(5), X_max=np.ones(5))
    ),
    "two_networks.pt": kind(two_networks, state="generator"),
    "lightning.ckpt": around(lightning, lightning_module),
    "lightning_renamed.pt": around(lightning, lightning_module),
    "lightning_hparams.ckpt": complete(
        lambda: Made(
            saved(
                lightning(
                    lightning_module(),
                    hparams_name="kwargs",
                    hyper_parameters={
                        "input_dim": 5,
                        "hidden": [7, 6],
                        "lr": 1e-3,
                        "activation": "sigmoid",
                    },
                )
            ),
            lightning_module(),
        )
    ),
    # loss_fn.pos_weight is the loss's, not the network's.
    "lightning_loss_buffer.pt": kind(with_buffer),
}
