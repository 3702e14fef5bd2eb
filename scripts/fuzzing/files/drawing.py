"""Good checkpoint files of every format, and damage to them."""

import io
import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from random import Random
from typing import Any, Final, NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn

from fuzzing.damage import damage_bytes, damage_json
from fuzzing.files.bombs import BOMBS, named, suffix_of
from sigmoid_models.architecture import Architecture
from sigmoid_models.card import Golden, ModelCard, Scaler
from sigmoid_models.checkpoint import HEADER_ENTRY


class File(NamedTuple):
    """A checkpoint file.

    Attributes:
        kind: What it was made from, and what was done to it.
        suffix: Of its name.
        content: Its bytes.
        is_good: Whether it must load.
        is_sampled: Whether the engine gets it, where it loads.
    """

    kind: str
    suffix: str
    content: bytes
    is_good: bool = True
    is_sampled: bool = True

    def shown(self) -> str:
        """Describe it without its content."""
        return f"a {self.suffix} file of {len(self.content)} bytes"


Damage = Callable[[Random, bytes], bytes]

_INTACT_SHARE = 0.02
_SAMPLED_SHARE = 0.05
_BOMB_SHARE = 0.004

_ODD: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, 2, -1, 0.5, 1e308, 5e-324, 2**63, 10**400, "", "x"),
    *([], {}, [[]], [None], [1, 2, 3], {"x": 1}, "1", "x" * 200, "\x00", "é\n"),
    *("\u2028", "binary", "multiclass", "multilabel", "Sequential", "DeepClassifier"),
    *(float("nan"), float("inf"), [4, 5, 3], [4, 5, 0], [4, 5, 10**12], [[1, 2, 3, 4]]),
    *("F16", "BF16", "F64", "I64", "BOOL", "F8_E4M3", "C64", "F4", [0, 8], [8, 0]),
)
_NAMES: Final = (
    *("0.weight", "2.bias", "fc1.weight", "fc3.weight", "layers.0.weight", "", "."),
    *("layers.1.bias", "00.weight", "-1.bias", "x" * 300, "\x1b[31m", "__metadata__"),
)


# What JSON that was damaged before may raise: no JSON, other types, nothing, too deep.
_UNREADABLE: Final = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
)


def good_files() -> list[File]:
    """Make one small checkpoint of each format and network."""
    deep, multilabel = _card("DeepClassifier", (4, 3, 3, 2), "multilabel")
    plain, multiclass = _card("Classifier", (4, 5, 3), "multiclass")
    chain, binary = _card("Sequential", (4, 3, 2, 1), "binary")
    half = {name: tensor.half() for name, tensor in plain.items()}
    return [
        File("ours", ".safetensors", _ours(plain, multiclass)),
        File("ours", ".safetensors", _ours(deep, multilabel)),
        File("ours", ".safetensors", _ours(chain, binary)),
        File("bare", ".safetensors", safetensors.torch.save(deep)),
        File("bare", ".safetensors", safetensors.torch.save(half)),
        File("zipped", ".pt", _pickled(plain, is_zipped=True)),
        File("zipped", ".pt", _pickled(half, is_zipped=True)),
        File("legacy", ".pth", _pickled(deep, is_zipped=False)),
        File("zipped Sequential", ".pt", _pickled(chain, is_zipped=True)),
        File("legacy Sequential", ".pt", _pickled(chain, is_zipped=False)),
        File("bare Sequential", ".safetensors", safetensors.torch.save(chain)),
    ]


def draw_file(seed: int, index: int, files: list[File]) -> File:
    """Draw a file; the same for the same seed, index and files.

    Args:
        seed: Of the run.
        index: Of the file in the run.
        files: Good ones.
    """
    random = Random((seed << 40) + index)
    if random.random() < _BOMB_SHARE:
        bomb = named(random)
        content = BOMBS[bomb](random)
        return File(f"bomb, {bomb}", suffix_of(bomb), content, False, False)
    good = random.choice(files)
    is_sampled = random.random() < _SAMPLED_SHARE
    if random.random() < _INTACT_SHARE:
        return good._replace(kind=f"{good.kind}, intact", is_sampled=is_sampled)
    table = _SAFETENSORS if good.suffix == ".safetensors" else _PICKLES
    name = random.choice(
        [name for name in table if name != "card" or "ours" in good.kind]
    )
    content = good.content
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        content = table[name](random, content)
    return File(f"{good.kind}, {name}", good.suffix, content, False, is_sampled)


def _bits(random: Random, content: bytes) -> bytes:
    """Flip bits in the last part, which in every format is mostly weights."""
    values = bytearray(content)
    for _ in range(random.choice((1, 2, 8, 64))):
        at = len(values) - 1 - int(random.random() ** 2 * len(values))
        values[at] ^= 1 << random.randrange(8)
    return bytes(values)


def _header_bytes(random: Random, content: bytes) -> bytes:
    header, data = _split(content)
    return _joined(damage_json(random, header), data)


def _header_fields(random: Random, content: bytes) -> bytes:
    """Change what the header says of a tensor, still well-formed."""
    header, data = _split(content)
    try:
        document = json.loads(header)
        name = random.choice([name for name in document if name != "__metadata__"])
        if random.random() < 0.3:
            document[random.choice(_NAMES)] = document.pop(name)
        else:
            _change(random, document[name])
        return _joined(json.dumps(document).encode(), data)
    # It was damaged before; so it stays.
    except _UNREADABLE:
        return content


def _card_fields(random: Random, content: bytes) -> bytes:
    """Change what the card says, still well-formed, or any bytes of it."""
    header, data = _split(content)
    document = json.loads(header)
    card = document["__metadata__"][HEADER_ENTRY]
    if random.random() < 0.3:
        card = damage_json(random, card.encode()).decode("utf-8", "replace")
    else:
        try:
            fields = json.loads(card)
            _change(random, fields)
            card = json.dumps(fields, allow_nan=True)
        except _UNREADABLE:
            return content
    document["__metadata__"][HEADER_ENTRY] = card
    return _joined(json.dumps(document).encode(), data)


def _change(random: Random, value: Any) -> None:
    """Change something at any depth of a JSON document."""
    while True:
        places = list(value) if isinstance(value, dict) else range(len(value))
        place = random.choice(places)
        inner = value[place]
        if isinstance(inner, dict | list) and inner and random.random() < 0.7:
            value = inner
            continue
        share = random.random()
        if share < 0.15:
            del value[place]
        elif share < 0.25 and isinstance(value, dict):
            value[random.choice(_NAMES)] = deepcopy(inner)
        elif share < 0.35 and isinstance(value, list):
            value.append(deepcopy(inner))
        else:
            value[place] = deepcopy(random.choice(_ODD))
        return


_SAFETENSORS: Final[Mapping[str, Damage]] = {
    "bytes": damage_bytes,
    "bits": _bits,
    "header": _header_bytes,
    "fields": _header_fields,
    "card": _card_fields,
}
_PICKLES: Final[Mapping[str, Damage]] = {"bytes": damage_bytes, "bits": _bits}


def _split(content: bytes) -> tuple[bytes, bytes]:
    stop = 8 + int.from_bytes(content[:8], "little")
    return content[8:stop], content[stop:]


def _joined(header: bytes, data: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def _card(
    kind: str, sizes: tuple[int, ...], task: str
) -> tuple[dict[str, Tensor], ModelCard]:
    """Make a network, its weights spread evenly, and the whole of its card."""
    architecture = Architecture.model_validate({"kind": kind, "sizes": sizes})
    network = architecture.build()
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
        "activation": "sigmoid",
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
