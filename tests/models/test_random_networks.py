"""Random networks: their own numbers, or a refusal; never others in silence."""

import random
from pathlib import Path
from typing import Literal

import pytest
import safetensors.torch
import torch
from torch import nn

from sigmoid_models.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from sigmoid_models.intake.named import Named
from tests.models.random_chains import WORDS, Made
from tests.models.random_networks import make_network

pytestmark = pytest.mark.usefixtures("uncounted")

NUMBER, GROUPS = 100, 8
WAYS = (
    "pt",
    "legacy",
    "safetensors",
    "dict",
    "parallel",
    "compiled",
    "lightning",
    "training",
)

# What no state_dict shows, so that nothing here makes it: a residual addition without
# weights of its own; one layer called twice; functional norms; an eps that is not the
# default; an order against the file's among equal widths, under names that say nothing.
# Rows with known outputs (`convert --expect`) show each of them.


def is_invisible(made: Made, way: str) -> bool:
    """Tell whether neither names nor the file's order speak against a row of layers."""
    names = {name.partition(".")[0] for name in made.module.state_dict()}
    is_link = made.style.startswith("links")
    return way == "safetensors" and is_link and names <= {*WORDS}


def save(made: Made, way: str, path: Path) -> None:
    outer, state = nn.Module(), made.module.state_dict()
    name = {"parallel": "module", "compiled": "_orig_mod", "lightning": "model"}.get(
        way
    )
    if name:
        outer.add_module(name, made.module)
        state = outer.state_dict()
    saved: object = state
    if way == "safetensors":
        safetensors.torch.save_file({n: t.clone() for n, t in state.items()}, path)
        return
    if way == "dict":
        saved = dict(state)
    elif way == "lightning":
        saved = {"state_dict": state, "epoch": 3, "pytorch-lightning_version": "2.1"}
    elif way == "training":
        optimiser = torch.optim.Adam(made.module.parameters())
        saved = {"model_state_dict": state, "optimizer": optimiser.state_dict()}
    torch.save(saved, path, _use_new_zipfile_serialization=way != "legacy")


def answers(made: Made) -> list[Named]:
    """List what a user may truly say of a network."""
    activations = made.activations or ("relu",)
    activation = activations[:1] if len({*activations}) == 1 else activations
    batchnorm: Literal["before", "after"] | None = None
    if made.is_regular:
        batchnorm = "before" if "before" in made.places else "after"
    found = [
        Named(activation=activations),
        Named(activation=activation),
        Named(activation=activation, link="sigmoid", batchnorm=batchnorm),
    ]
    if made.order:
        found.append(
            Named(
                activation=activation,
                link="sigmoid",
                batchnorm=batchnorm,
                layers=made.order,
            )
        )
    return found


def difference(made: Made, checkpoint: Checkpoint) -> float:
    """Return the largest difference of the logits; infinite for other shapes."""
    sizes = checkpoint.card.architecture.sizes
    rows = torch.randn(6, sizes[0], dtype=torch.float64)
    network = checkpoint.network.double()
    with torch.no_grad():
        served = network(rows)
        try:
            truth = made.logits(rows)
        except RuntimeError:
            return float("inf")
    if served.shape != truth.shape:
        return float("inf")
    return float(((served - truth).abs() / truth.abs().clamp(min=1)).max())


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_random_network_is_served_rightly_or_refused(
    group: int, tmp_path: Path
) -> None:
    served = 0
    for seed in range(group * NUMBER, (group + 1) * NUMBER):
        made = make_network(seed)
        way = random.Random(seed).choice(WAYS)
        if is_invisible(made, way):
            continue
        save(made, way, path := tmp_path / "model.pt")
        for named in answers(made):
            try:
                checkpoint = load_checkpoint(path, named=named)
            except CheckpointError:
                continue
            served += 1
            error = difference(made, checkpoint)
            found = f"{made.style} (seed {seed}, {way}) as {checkpoint.card.layers}"
            assert error <= 1e-5, f"{found}, {named}: {error}"
    assert served > NUMBER // 4
