"""Files whose layers would fit in a row, and are none; or are one in disguise."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import process_time

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from sigmoid_models.checkpoint import CheckpointError, load_checkpoint
from sigmoid_models.intake.named import Named

RELU = Named(activation=("relu",))


class Row(nn.Module):
    """Layers in the order of their names, with ReLU between."""

    def __init__(self, **layers: nn.Linear) -> None:
        super().__init__()
        self.names = tuple(layers)
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, rows: Tensor) -> Tensor:
        for name in self.names[:-1]:
            rows = torch.relu(self.get_submodule(name)(rows))
        result: Tensor = self.get_submodule(self.names[-1])(rows)
        return result


def is_served_rightly(path: Path, network: nn.Module) -> bool:
    loaded = load_checkpoint(path, named=RELU)
    rows = torch.randn(5, loaded.card.architecture.sizes[0])
    return torch.allclose(loaded.network(rows), network(rows), atol=1e-5)


def test_a_layer_under_two_names_is_used_twice(tmp_path: Path) -> None:
    shared = nn.Linear(4, 4)
    network = Row(fc1=nn.Linear(4, 4), fc2=shared, fc3=shared, out=nn.Linear(4, 2))
    safetensors.torch.save_model(network, str(tmp_path / "model.safetensors"))
    torch.save(network.state_dict(), tmp_path / "model.pt")
    assert is_served_rightly(tmp_path / "model.safetensors", network)
    assert is_served_rightly(tmp_path / "model.pt", network)


def test_a_layer_may_be_called_loss(tmp_path: Path) -> None:
    network = Row(fc1=nn.Linear(4, 4), loss=nn.Linear(4, 4), out=nn.Linear(4, 2))
    torch.save(network.state_dict(), tmp_path / "model.pt")
    assert is_served_rightly(tmp_path / "model.pt", network)


def test_a_layer_norm_without_weights_is_seen_by_its_name(tmp_path: Path) -> None:
    network = Row(fc1=nn.Linear(4, 8), fc2=nn.Linear(8, 2))
    network.add_module("layernorm", nn.LayerNorm(8, elementwise_affine=False))
    torch.save(network.state_dict(), tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"a LayerNorm \(layernorm\)"):
        load_checkpoint(tmp_path / "model.pt", named=RELU)


def test_layers_side_by_side_are_no_row(tmp_path: Path) -> None:
    for one, two in (("actor", "critic"), ("head1", "head2"), ("fc21", "fc22")):
        layers = {"fc1": nn.Linear(4, 4), one: nn.Linear(4, 4), two: nn.Linear(4, 4)}
        network = Row(**layers)
        torch.save(network.state_dict(), tmp_path / "model.pt")
        with pytest.raises(CheckpointError, match=f"{one} and {two} .*side by side"):
            load_checkpoint(tmp_path / "model.pt", named=RELU)
        named = Named(activation=("relu",), layers=("fc1", one))
        assert load_checkpoint(tmp_path / "model.pt", named=named).card.layers == (
            "fc1",
            one,
        )


def test_another_order_than_that_of_file_and_names_is_refused(tmp_path: Path) -> None:
    # fc2 is given the input again: torch.cat([fc1(x), x])
    network = Row(fc1=nn.Linear(4, 4), fc2=nn.Linear(8, 4))
    torch.save(network.state_dict(), tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="only in an order that names do not say"):
        load_checkpoint(tmp_path / "model.pt", named=RELU)


def test_a_batchnorm_beside_unused_layers_is_no_crash(tmp_path: Path) -> None:
    network = Row(fc1=nn.Linear(4, 8), fc2=nn.Linear(8, 3))
    network.add_module("aux", nn.Linear(4, 2))
    network.add_module("bn", nn.BatchNorm1d(2))
    torch.save(network.state_dict(), tmp_path / "model.pt")
    named = Named(activation=("relu",), layers=("fc1", "fc2"))
    with pytest.raises(CheckpointError, match="bn stands is not known"):
        load_checkpoint(tmp_path / "model.pt", named=named)


def layers(number: int) -> dict[str, Tensor]:
    return {f"fc{n}.weight": torch.zeros(2, 2) for n in range(number)}


def norms(number: int) -> dict[str, Tensor]:
    parts = ("running_mean", "running_var", "weight", "bias")
    return layers(2) | {
        f"bn{n}.{part}": torch.zeros(2) for n in range(number) for part in parts
    }


def seconds_to_refuse(path: Path, state: dict[str, Tensor], times: int) -> float:
    """Say how long the quickest of some times takes."""
    torch.save(OrderedDict(state), path)
    took = []
    for _ in range(times):
        start = process_time()
        with pytest.raises(CheckpointError):
            load_checkpoint(path, named=RELU)
        took.append(process_time() - start)
    return min(took)


@pytest.mark.parametrize(("make", "number"), [(layers, 19_000), (norms, 4700)])
def test_the_time_grows_as_the_tensors_do(
    make: Callable[[int], dict[str, Tensor]], number: int, tmp_path: Path
) -> None:
    path = tmp_path / "model.pt"
    few = seconds_to_refuse(path, make(number // 8), 3)
    many = seconds_to_refuse(path, make(number), 1)
    # As their square, it would be 64 times as long.
    assert many < 24 * few


def used(network: nn.Module) -> nn.Module:
    """Give BatchNorms the statistics of some rows."""
    network.train()
    for _ in range(20):
        network(3 * torch.randn(64, 4) - 1)
    return network.eval()


@pytest.mark.parametrize("function", ["relu", "sigmoid", "softplus", "tanh"])
def test_negative_means_do_not_come_from_what_is_never_negative(
    tmp_path: Path, function: str
) -> None:
    path = tmp_path / "model.pt"
    bn1 = nn.BatchNorm1d(8)
    used(nn.Sequential(nn.Linear(4, 8), bn1))
    norm = {f"bn1.{name}": part for name, part in bn1.state_dict().items()}
    torch.save(
        {**Row(fc1=nn.Linear(4, 8), fc2=nn.Linear(8, 2)).state_dict(), **norm}, path
    )
    named = Named(activation=(function,), batchnorm="after")
    if function == "tanh":
        load_checkpoint(path, named=named)
        return
    with pytest.raises(CheckpointError, match=f"negative means.*{function}.*--expect"):
        load_checkpoint(path, named=named)
    load_checkpoint(path, named=replace(named, is_proven=True))
    load_checkpoint(path, named=replace(named, batchnorm="before"))


def test_a_place_that_numbers_tell_is_not_named_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    stack = [nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)]
    torch.save(used(nn.Sequential(*stack)).state_dict(), path)
    load_checkpoint(path, named=replace(RELU, batchnorm="before"))
    with pytest.raises(CheckpointError, match="1 stands before it"):
        load_checkpoint(path, named=replace(RELU, batchnorm="after"))
    torch.save(Row(fc1=nn.Linear(4, 8), fc2=nn.Linear(8, 2)).state_dict(), path)
    with pytest.raises(CheckpointError, match="but it has none"):
        load_checkpoint(path, named=replace(RELU, batchnorm="after"))


def test_parts_that_end_bare_want_a_function_for_each_layer(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    parts = [nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4)) for _ in "ab"]
    network = nn.Sequential(
        OrderedDict(zip(("encoder", "decoder"), parts, strict=True))
    )
    torch.save(network.state_dict(), path)
    layers = ("encoder.0", "encoder.2", "decoder.0", "decoder.2")
    for named in (RELU, replace(RELU, layers=layers)):
        with pytest.raises(CheckpointError, match="no function stands between"):
            load_checkpoint(path, named=named)
    named = Named(activation=("relu", "none", "relu"), layers=layers)
    rows = torch.randn(5, 4)
    assert torch.allclose(
        load_checkpoint(path, named=named).network(rows), network(rows), atol=1e-5
    )
