"""Checkpoints: what is written comes back, and what is not right is refused."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import Golden, ModelCard, Scaler, assumed_card
from sigmoid_models.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from sigmoid_models.classifier import Classifier, DeepClassifier, sequential

ARCHITECTURE = Architecture(kind="Classifier", sizes=(4, 5, 3))
CARD = ModelCard(
    architecture=ARCHITECTURE,
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
    loaded = load_checkpoint(path)
    assert loaded.card.activation == "sigmoid (assumed)"
    assert loaded.card == assumed_card(loaded.card.architecture)
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
        torch.testing.assert_close(load_checkpoint(path).network(x), network(x))


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


def card(**changes: object) -> str:
    document = json.loads(CARD.model_dump_json(exclude_none=True))
    return json.dumps({**document, **changes})


def training(**changes: object) -> dict[str, object]:
    return {
        "dataset": "d",
        "seed": 0,
        "init": "sigmoid",
        "epochs": 1,
        "rows": [6, 2, 2],
        "gradient_norms_initial": [1, 2],
        "gradient_norms_final": [1, 2],
        **changes,
    }


BAD_STATES: dict[str, tuple[object, str]] = {
    "whole module": (Classifier(4, 5, 3), "pickled objects"),
    "list": (list(weights().values()), "it holds a list, not a state_dict"),
    "tensor": (torch.zeros(3), "it holds a Tensor, not a state_dict"),
    "number": (3, "it holds a int, not a state_dict"),
    "training checkpoint": (
        {"epoch": 3, "model_state_dict": weights()},
        "not only tensors by name: epoch, model_state_dict",
    ),
    "number as a name": ({3: torch.zeros(1)}, "not only tensors by name: 3"),
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

BAD_WEIGHTS: dict[str, tuple[dict[str, Tensor], str]] = {
    "nothing": ({}, "missing fc1.bias, fc1.weight, fc2.bias, fc2.weight"),
    "bias missing": (changed(fc1__bias=None), "missing fc1.bias"),
    "missing and unexpected": (
        changed(fc1__bias=None, fc2__weight=None, zz=torch.ones(1), aa=torch.ones(1)),
        "missing fc1.bias, fc2.weight; unexpected aa, zz",
    ),
    "gap in the layers": (
        {
            **DeepClassifier(4, 5, 3, 1).state_dict(),
            "layers.2.weight": torch.ones(5, 5),
            "layers.2.bias": torch.ones(5),
        },
        "not those of a DeepClassifier: missing layers.1.bias, layers.1.weight; "
        "unexpected layers.2.bias, layers.2.weight",
    ),
    "one layer": (
        {"0.weight": torch.ones(3, 4), "0.bias": torch.ones(3)},
        "not those of a Sequential: missing 2.bias, 2.weight",
    ),
    "not chained": (changed(fc2__weight=torch.ones(3, 6)), "the shapes do not chain"),
    "bias of another length": (
        changed(fc1__bias=torch.ones(6)),
        r"fc1.weight has the shape [5, 4] and fc1.bias [6]",
    ),
    "weight of one dimension": (changed(fc1__weight=torch.ones(5)), "[out, in]"),
    "weight of three dimensions": (changed(fc1__weight=torch.ones(5, 4, 1)), "[out"),
    "no features": (changed(fc1__weight=torch.ones(5, 0)), "[out, in]"),
    "no outputs": (
        changed(fc2__weight=torch.ones(0, 5), fc2__bias=torch.ones(0)),
        "[out, in]",
    ),
    "two widths": (
        {
            **DeepClassifier(4, 5, 3, 1).state_dict(),
            "layers.0.weight": torch.ones(6, 5),
            "layers.0.bias": torch.ones(6),
            "fc2.weight": torch.ones(3, 6),
        },
        "of one width, these [5, 6]",
    ),
    "NaN": (
        changed(fc1__bias=torch.full((5,), float("nan"))),
        "fc1.bias has NaN or infinite values",
    ),
    "infinity": (
        changed(fc1__bias=torch.full((5,), -float("inf"))),
        "fc1.bias has NaN or infinite values",
    ),
    "overflow": (
        changed(fc1__bias=torch.full((5,), 1e39, dtype=torch.float64)),
        "fc1.bias has NaN or infinite values",
    ),
    "integers": (
        changed(fc1__bias=torch.ones(5, dtype=torch.int64)),
        "fc1.bias is int64",
    ),
    "name of two lines": (changed(**{"x\ny": torch.ones(1)}), "unexpected"),
}

BAD_CARDS: dict[str, tuple[str, str]] = {
    "not JSON": ("{", "its card is not JSON"),
    "empty": ("", "its card is not JSON"),
    "too deep": ("[" * 8_000, "its card is not JSON"),
    "a list": ("[]", "its card has the format None, not 1"),
    "no format": ("{}", "its card has the format None, not 1"),
    "later format": (card(format=2), "its card has the format 2, not 1"),
    "format true": (card(format=True), "its card has the format True, not 1"),
    "format of text": (card(format="1"), "its card has the format 1, not 1"),
    "format of two lines": (card(format="1\n2"), "its card has the format"),
    "unknown entry": (card(extra=1), "its card is wrong at extra"),
    "unknown entry of two lines": (card(**{"a\nb": 1}), "its card is wrong at"),
    "coerced": (card(temperature="1"), "its card is wrong at temperature"),
    "no temperature": (card(temperature=0), "its card is wrong at temperature"),
    "no task": ('{"format": 1}', "its card is wrong at architecture"),
    "other activation": (card(activation="relu"), "its card is wrong at activation"),
    "other task": (card(task="binary"), "the task is binary, but the outputs are 3"),
    "other widths": (
        card(architecture={"kind": "Classifier", "sizes": [4, 6, 3]}),
        "its card says Classifier [4, 6, 3], its weights are a Classifier [4, 5, 3]",
    ),
    "other class": (
        card(architecture={"kind": "Sequential", "sizes": [4, 5, 3]}),
        "its card says Sequential",
    ),
    "features": (card(features=["a"]), "features has 1 entries, not 4"),
    "classes": (card(classes=["a", "b"]), "classes has 2 entries, not 3"),
    "scaler": (
        card(scaler={"mean": [0, 0, 0], "scale": [1, 1, 1, 1]}),
        "scaler.mean has 3 entries, not 4",
    ),
    "scale of zero": (
        card(scaler={"mean": [0] * 4, "scale": [1, 1, 1, 0]}),
        "its card is wrong at scaler.scale.3",
    ),
    "thresholds": (card(thresholds=[0.5]), "thresholds has 1 entries, not 3"),
    "golden rows": (
        card(golden={"inputs": [[0] * 4], "logits": [[0] * 3] * 2}),
        "golden.logits has 2 entries, not 1",
    ),
    "golden inputs": (
        card(golden={"inputs": [[0] * 5], "logits": [[0] * 3]}),
        "golden.inputs has 5 entries, not 4",
    ),
    "golden logits": (
        card(golden={"inputs": [[0] * 4], "logits": [[0] * 2]}),
        "golden.logits has 2 entries, not 3",
    ),
    "no golden row": (
        card(golden={"inputs": [], "logits": []}),
        "its card is wrong at golden.inputs",
    ),
    "initial gradients": (
        card(training=training(gradient_norms_initial=[1])),
        "training.gradient_norms_initial has 1 entries, not 2",
    ),
    "final gradients": (
        card(training=training(gradient_norms_final=[1, 2, 3])),
        "training.gradient_norms_final has 3 entries, not 2",
    ),
    "a feature twice": (
        card(features=["a", "b", "a", "c"]),
        "features names one of its entries twice",
    ),
    "a class twice": (
        card(classes=["a", "b", "a"]),
        "classes names one of its entries twice",
    ),
    "NaN": (card(temperature=float("nan")), "its card is"),
}


def test_a_card_with_its_training(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write(path, weights(), card(training=training()))
    assert load_checkpoint(path).card.training


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
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
    assert expected in refusal(path)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_refused_weights(tmp_path: Path, case: str, suffix: str) -> None:
    state, expected = BAD_WEIGHTS[case]
    path = tmp_path / f"model{suffix}"
    write(path, state)
    assert expected in refusal(path)


@pytest.mark.parametrize("case", BAD_CARDS)
def test_refused_card(tmp_path: Path, case: str) -> None:
    header, expected = BAD_CARDS[case]
    path = tmp_path / "model.safetensors"
    write(path, weights(), header)
    assert expected in refusal(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_pickled_code_does_not_run(tmp_path: Path, legacy: bool) -> None:
    marker, path = tmp_path / "marker", tmp_path / "model.pt"
    torch.save(
        {**weights(), "fc3": Bomb(marker)},
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    assert "pickled objects" in refusal(path)
    assert not marker.exists()


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
@pytest.mark.parametrize("keep", [0.03, 0.1, 0.5, 0.9, 0.999])
def test_truncated(tmp_path: Path, suffix: str, keep: float) -> None:
    path = tmp_path / f"model{suffix}"
    write(path, weights())
    cut(path, keep)
    message = refusal(path)
    assert "not a whole" in message or "pickled objects" in message


@pytest.mark.parametrize("content", [b"x", b"PK\x03\x04", bytes(100), b"\xff" * 100])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_not_a_checkpoint(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    refusal(path)


def test_refused_paths(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pt"
    empty.touch()
    assert "the file is empty" in refusal(empty)
    other = tmp_path / "model.onnx"
    other.write_bytes(b"x")
    assert "ends in .safetensors, .pt, .pth" in refusal(other)
    assert "No such file" in refusal(tmp_path / "missing.pt")
    assert "Not a directory" in refusal(empty / "missing.pt")
    folder = tmp_path / "folder.pt"
    folder.mkdir()
    assert "Is a directory" in refusal(folder)


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
