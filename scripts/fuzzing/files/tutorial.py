"""Small checkpoints of the tutorial's networks, with cards and without."""

import io

import safetensors.torch
import torch
from torch import Tensor, nn

from fuzzing.files.file import File
from sigmoid_models.architecture import Architecture
from sigmoid_models.card import Golden, ModelCard, Scaler
from sigmoid_models.checkpoint import HEADER_ENTRY
from sigmoid_models.intake.named import Named


def tutorial_files() -> list[File]:
    """Make one small checkpoint of each format and network."""
    deep, multilabel = _card("DeepClassifier", (4, 3, 3, 2), "multilabel")
    plain, multiclass = _card("Classifier", (4, 5, 3), "multiclass")
    chain, binary = _card("Sequential", (4, 3, 2, 1), "binary")
    mixed, functions = _card(
        "Sequential", (4, 3, 2, 1), "binary", ("relu", "gelu:tanh")
    )
    half = {name: tensor.half() for name, tensor in plain.items()}
    return [
        _file("ours", ".safetensors", _ours(plain, multiclass)),
        _file("ours", ".safetensors", _ours(deep, multilabel)),
        _file("ours", ".safetensors", _ours(chain, binary)),
        _file("ours", ".safetensors", _ours(mixed, functions)),
        _file("bare", ".safetensors", safetensors.torch.save(deep)),
        _file("bare", ".safetensors", safetensors.torch.save(half)),
        _file("zipped", ".pt", _pickled(plain, is_zipped=True)),
        _file("zipped", ".pt", _pickled(half, is_zipped=True)),
        _file("legacy", ".pth", _pickled(deep, is_zipped=False)),
        _file("zipped Sequential", ".pt", _pickled(chain, is_zipped=True)),
        _file("legacy Sequential", ".pt", _pickled(chain, is_zipped=False)),
        _file("bare Sequential", ".safetensors", safetensors.torch.save(chain)),
    ]


def _file(kind: str, suffix: str, content: bytes) -> File:
    return File(kind, suffix, content, named=Named(activation=("sigmoid",)))


def _card(
    kind: str,
    sizes: tuple[int, ...],
    task: str,
    activation: str | tuple[str, ...] = "sigmoid",
) -> tuple[dict[str, Tensor], ModelCard]:
    """Make a network, its weights spread evenly, and the whole of its card."""
    architecture = Architecture.model_validate({"kind": kind, "sizes": sizes})
    names = None if isinstance(activation, str) else activation
    network = architecture.build(names)
    with torch.no_grad():
        for parameter in network.parameters():
            spread = torch.linspace(-1, 1, parameter.numel())
            parameter.copy_(spread.reshape(parameter.shape))
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    features, outputs = sizes[0], sizes[-1]
    inputs = [[float(row + column) for column in range(features)] for row in range(3)]
    classes = 2 if task == "binary" else outputs
    card = {
        "architecture": {"kind": kind, "sizes": sizes},
        "activation": activation,
        "task": task,
        "features": tuple(f"feature {number}" for number in range(features)),
        "scaler": Scaler(mean=(0.0,) * features, scale=(1.0,) * features),
        "classes": tuple(f"class {number}" for number in range(classes)),
        "temperature": 1.5,
        "thresholds": None if task == "multiclass" else (0.5,) * outputs,
        "golden": Golden(inputs=_rows(inputs), logits=_rows(_logits(network, inputs))),
    }
    return weights, ModelCard.model_validate(card)


def _logits(network: nn.Module, inputs: list[list[float]]) -> list[list[float]]:
    with torch.no_grad():
        logits: list[list[float]] = network.double()(
            torch.tensor(inputs, dtype=torch.float64)
        ).tolist()
    return logits


def _rows(values: list[list[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, values))


def _ours(weights: dict[str, Tensor], card: ModelCard) -> bytes:
    header = {HEADER_ENTRY: card.model_dump_json(exclude_none=True)}
    return safetensors.torch.save(weights, metadata=header)


def _pickled(weights: dict[str, Tensor], *, is_zipped: bool) -> bytes:
    file = io.BytesIO()
    torch.save(weights, file, _use_new_zipfile_serialization=is_zipped)
    return file.getvalue()
