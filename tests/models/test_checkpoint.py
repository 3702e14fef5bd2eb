"""Checkpoints: what is written comes back, and what is not right is refused."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import Golden, ModelCard, Scaler, usual_task
from sigmoid_models.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from sigmoid_models.classifier import Classifier, DeepClassifier, sequential
from sigmoid_models.intake.named import Named

SIGMOID = Named(activation=("sigmoid",))
ARCHITECTURE = Architecture(kind="Classifier", sizes=(4, 5, 3))
CARD = ModelCard(
    architecture=ARCHITECTURE,
    activation="sigmoid",
    task="multiclass",
    features=("a", "b", "c", "d"),
    classes=("x", "y", "ž"),
    scaler=Scaler(mean=(0.1, 0, -1, 3), scale=(1, 2, 3, 1e-3)),
    temperature=1.5,
    golden=Golden(inputs=((1, 2, 3, 4),), logits=((0, 0, 0),)),
)


def weights() -> dict[str, Tensor]:
    return dict(Classifier(4, 5, 3).state_dict())


def write(path: Path, tensors: object, header: str | None = None) -> None:
    if path.suffix == ".safetensors":
        assert isinstance(tensors, dict)
        metadata = None if header is None else {"sigmoid_serve": header}
        safetensors.torch.save_file(tensors, path, metadata=metadata)
    else:
        torch.save(tensors, path)


def test_round_trip(tmp_path: Path) -> None:
    network = Classifier(4, 5, 3)
    first, second = tmp_path / "new" / "a.safetensors", tmp_path / "b.safetensors"
    save_checkpoint(first, network, CARD)
    save_checkpoint(second, network, CARD)
    assert first.read_bytes() == second.read_bytes()
    loaded = load_checkpoint(first)
    assert loaded.card == CARD
    assert loaded.sha256 == hashlib.sha256(first.read_bytes()).hexdigest()
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], tensor)
    assert not any(p.requires_grad for p in loaded.network.parameters())
    save_checkpoint(second, loaded.network, loaded.card)
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: Classifier(4, 5, 3),
        lambda: Classifier(4, 5, 1),
        lambda: DeepClassifier(4, 6, 3, 1),
        lambda: DeepClassifier(4, 6, 3, 11),
        lambda: sequential((4, 9, 2)),
        lambda: sequential((4, 9, 3, 7, 5, 8, 2)),
    ],
)
def test_plain_weights(
    tmp_path: Path, make: Callable[[], nn.Module], dtype: str, suffix: str
) -> None:
    network = make().to(getattr(torch, dtype))
    path = tmp_path / f"model{suffix}"
    write(path, dict(network.state_dict()))
    loaded = load_checkpoint(path, named=SIGMOID)
    architecture = loaded.card.architecture
    assert loaded.card == ModelCard(
        architecture=architecture,
        activation="sigmoid",
        activation_source="named by the user",
        layers=tuple(architecture.layers),
        task=usual_task(architecture.outputs),
    )
    x = torch.randn(7, 4)
    with torch.no_grad():
        assert torch.equal(loaded.network(x), network.float()(x))
        outputs = loaded.network(x).shape[1]
    assert loaded.card.task == ("binary" if outputs == 1 else "multiclass")


def test_parameters_and_views_are_weights_too(tmp_path: Path) -> None:
    network = Classifier(4, 5, 3)
    state: dict[str, Tensor] = dict(network.named_parameters())
    state["fc1.weight"] = nn.Parameter(network.fc1.weight.detach().T.contiguous().T)
    path = tmp_path / "model.pt"
    torch.save(state, path)
    x = torch.randn(7, 4)
    with torch.no_grad():
        loaded = load_checkpoint(path, named=SIGMOID)
        torch.testing.assert_close(loaded.network(x), network(x))


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.marker),)


def cut(path: Path, keep: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


def changed(**tensors: Tensor | None) -> dict[str, Tensor]:
    """Return good weights with some replaced, added or left out."""
    state = {**weights(), **{k.replace("__", "."): v for k, v in tensors.items()}}
    return {name: tensor for name, tensor in state.items() if tensor is not None}


BAD_STATES: dict[str, tuple[object, str]] = {
    "whole module": (Classifier(4, 5, 3), "pickled objects"),
    "list": (list(weights().values()), "it holds a list, not a state_dict"),
    "tensor": (torch.zeros(3), "it holds a Tensor, not a state_dict"),
    "number": (3, "it holds a int, not a state_dict"),
    "two networks": (
        {"epoch": 3, "student": weights(), "teacher": weights()},
        "it holds 2 networks: student, teacher; name one with sigmoid-serve convert",
    ),
    "no network": (
        {"epoch": 3, "optimizer": {"state": {}, "param_groups": []}},
        "no weights of linear layers are in it: it holds only epoch, optimizer",
    ),
    "number as a name": (
        {3: torch.zeros(1)},
        "no weights of linear layers are in it: it holds only 3",
    ),
    "sparse": (
        changed(fc1__weight=torch.eye(5, 4).to_sparse()),
        "fc1.weight is float32, sparse_coo",
    ),
    "complex": (
        changed(fc1__weight=torch.zeros(5, 4, dtype=torch.complex64)),
        "fc1.weight is complex64",
    ),
    "meta": (
        changed(fc1__weight=torch.zeros(5, 4, device="meta")),
        "fc1.weight is float32, strided, meta",
    ),
    "expanded": (
        changed(fc1__weight=torch.zeros(1).expand(5, 4)),
        "fc1.weight claims more elements than the file holds",
    ),
}


def error_message(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path, named=SIGMOID)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "; " in message
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("case", BAD_STATES)
def test_refused_state(tmp_path: Path, case: str) -> None:
    state, expected = BAD_STATES[case]
    path = tmp_path / "model.pt"
    torch.save(state, path)
    assert expected in error_message(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_pickled_code_does_not_run(tmp_path: Path, legacy: bool) -> None:
    marker, path = tmp_path / "marker", tmp_path / "model.pt"
    torch.save(
        {**weights(), "fc3": Bomb(marker)},
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    assert "pickled objects" in error_message(path)
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
@pytest.mark.parametrize("keep", [0.03, 0.1, 0.5, 0.9, 0.999])
def test_truncated(tmp_path: Path, suffix: str, keep: float) -> None:
    path = tmp_path / f"model{suffix}"
    write(path, weights())
    cut(path, keep)
    message = error_message(path)
    assert "not a whole" in message or "pickled objects" in message


@pytest.mark.parametrize("content", [b"x", b"PK\x03\x04", bytes(100), b"\xff" * 100])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_not_a_checkpoint(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    error_message(path)


def test_refused_paths(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pt"
    empty.touch()
    assert "the file is empty" in error_message(empty)
    other = tmp_path / "model.onnx"
    other.write_bytes(b"x")
    assert "it is text, which begins with “x”" in error_message(other)
    assert "No such file" in error_message(tmp_path / "missing.pt")
    assert "Not a directory" in error_message(empty / "missing.pt")
    folder = tmp_path / "folder.pt"
    folder.mkdir()
    assert "Is a directory" in error_message(folder)


def test_a_training_checkpoint(tmp_path: Path) -> None:
    network = Classifier(4, 5, 3)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.randn(2, 4)).sum().backward()
    optimizer.step()
    path = tmp_path / "model.pt"
    state = {"epoch": 3, "model_state_dict": network.state_dict()}
    torch.save({**state, "optimizer_state_dict": optimizer.state_dict()}, path)
    loaded = load_checkpoint(path, named=SIGMOID)
    assert loaded.notes == (
        "its task is taken as multiclass; a regression is not served",
        "the weights are those of model_state_dict",
    )
    x = torch.randn(7, 4)
    with torch.no_grad():
        assert torch.equal(loaded.network(x), network(x))


@pytest.mark.parametrize("name", ["model", "model.onnx", "model.pt", "m.safetensors"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_suffix_does_not_count(tmp_path: Path, suffix: str, name: str) -> None:
    written, path = tmp_path / f"written{suffix}", tmp_path / name
    write(written, weights())
    written.rename(path)
    assert load_checkpoint(path, named=SIGMOID).card.architecture == ARCHITECTURE


def test_a_failed_write_leaves_everything_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    target.mkdir()
    (target / "kept").write_text("kept")
    with pytest.raises(OSError, match="directory"):
        save_checkpoint(target, Classifier(4, 5, 3), CARD)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]
    assert (target / "kept").read_text() == "kept"
    file = tmp_path / "file"
    file.write_text("kept")
    with pytest.raises(OSError, match="file"):
        save_checkpoint(file / "model.safetensors", Classifier(4, 5, 3), CARD)
    assert file.read_text() == "kept"


def test_an_old_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old" * 100_000)
    save_checkpoint(path, Classifier(4, 5, 3), CARD)
    assert load_checkpoint(path).card == CARD
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]
