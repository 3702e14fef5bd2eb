"""What could be read as another network than it is, is not read at all."""

import contextlib
from pathlib import Path

import pytest
from torch import nn

from sigmoid_models.messages import CheckpointError
from tests.models.kinds.all_kinds import write_all
from tests.models.kinds.check import load, message
from tests.models.kinds.kind import File, refused
from tests.models.kinds.misleading import MISLEADING, SILENT
from tests.models.kinds.networks import Wrapped
from tests.models.kinds.strangers import state_of


@pytest.fixture(scope="module")
def misleading(tmp_path_factory: pytest.TempPathFactory) -> dict[str, File]:
    return write_all({**MISLEADING, **SILENT}, tmp_path_factory.mktemp("misleading"))


@pytest.mark.parametrize("name", MISLEADING)
def test_it_is_refused_or_asks(misleading: dict[str, File], name: str) -> None:
    for activation in (None, ("relu",)):
        for place in (None, "before", "after"):
            named = {"activation": activation, "batchnorm": place}
            message(misleading[name], named)


@pytest.mark.parametrize("name", SILENT)
def test_it_asks_for_the_function(misleading: dict[str, File], name: str) -> None:
    assert "--activation" in message(misleading[name], {})


def test_functions_in_another_order_than_their_modules(
    tmp_path: Path,
) -> None:
    modules = (nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5))
    names = ("fc1", "relu1", "fc2", "tanh2", "fc3")
    network = Wrapped(**dict(zip(names, modules, strict=True)))
    made = write_all({"a.pt": refused(state_of(lambda: network))}, tmp_path)
    load(made["a.pt"], {"activation": ("relu", "tanh")})
    assert "relu1" in message(made["a.pt"], {"activation": ("tanh", "relu")})


def test_a_batchnorm_of_a_layer_that_is_not_used(tmp_path: Path) -> None:
    network = Wrapped(
        fc1=nn.Linear(5, 7),
        fc2=nn.Linear(7, 3),
        fc3=nn.Linear(5, 4),
        bnx=nn.BatchNorm1d(4),
    )
    made = write_all({"a.pt": refused(state_of(lambda: network))}, tmp_path)
    named = {"activation": ("relu",), "layers": ("fc1", "fc2")}
    # It may be served without what is not used, or refused; it must not crash.
    with contextlib.suppress(CheckpointError):
        load(made["a.pt"], named)
