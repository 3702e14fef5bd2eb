"""Damage to the headers of `.safetensors` files, and to the cards in them."""

import json
from collections.abc import Mapping
from copy import deepcopy
from random import Random
from typing import Any, Final

from fuzzing.damage import Damage, damage_json
from sigmoid_models.checkpoint import HEADER_ENTRY

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


HEADER_DAMAGES: Final[Mapping[str, Damage]] = {
    "header": _header_bytes,
    "fields": _header_fields,
}
CARD_DAMAGES: Final[Mapping[str, Damage]] = {**HEADER_DAMAGES, "card": _card_fields}


def _split(content: bytes) -> tuple[bytes, bytes]:
    stop = 8 + int.from_bytes(content[:8], "little")
    return content[8:stop], content[stop:]


def _joined(header: bytes, data: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + data
