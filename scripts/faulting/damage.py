"""Checkpoint files that must not be served."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import safetensors.torch
import torch

from faulting.bodies import FEATURES, card, network
from sigmoid_models.card import Golden
from sigmoid_models.checkpoint import HEADER_ENTRY, save_checkpoint


class Damage(NamedTuple):
    """A way to spoil a checkpoint.

    Attributes:
        name: What is wrong with it.
        make: Given a good file, puts a bad one in the place of another.
        named: Pattern of what the refusal must say.
    """

    name: str
    make: Callable[[Path, Path], None]
    named: str


def _bytes(change: Callable[[bytes], bytes]) -> Callable[[Path, Path], None]:
    def make(good: Path, place: Path) -> None:
        temporary = place.with_name(".new")
        temporary.write_bytes(change(good.read_bytes()))
        temporary.replace(place)

    return make


def _not_finite(good: Path, place: Path) -> None:
    made = network(1)
    with torch.no_grad():
        made.fc1.weight[3, 5] = torch.nan
    save_checkpoint(place, made, card(made))


def _wrong_golden(good: Path, place: Path) -> None:
    made = network(1)
    golden = Golden(inputs=((0.5,) * FEATURES,), logits=((7.0,) * 10,))
    save_checkpoint(place, made, card(made).model_copy(update={"golden": golden}))


def _other_features(good: Path, place: Path) -> None:
    save_checkpoint(place, network(1, FEATURES - 1), card(network(1)))


def _unknown_format(good: Path, place: Path) -> None:
    made = network(1)
    header = card(made).model_dump_json().replace('"format":2', '"format":99')
    content = safetensors.torch.save(made.state_dict(), {HEADER_ENTRY: header})
    place.write_bytes(content)


def _missing_tensor(good: Path, place: Path) -> None:
    made = network(1)
    tensors = {k: v for k, v in made.state_dict().items() if k != "fc2.weight"}
    header = {HEADER_ENTRY: card(made).model_dump_json()}
    place.write_bytes(safetensors.torch.save(tensors, header))


def _gone(good: Path, place: Path) -> None:
    place.unlink(missing_ok=True)


DAMAGES: Final = (
    Damage("empty", _bytes(lambda content: b""), "empty"),
    Damage("truncated", _bytes(lambda content: content[: len(content) // 2]), "whole"),
    Damage("cut in the header", _bytes(lambda content: content[:20]), "whole"),
    Damage("corrupt header", _bytes(lambda c: c[:8] + b"\xff" * 64 + c[72:]), "whole"),
    Damage("other bytes", _bytes(lambda content: b"\x00\xff" * 5000), "whole"),
    Damage("NaN in a weight", _not_finite, "finite|NaN|nan"),
    Damage("wrong golden rows", _wrong_golden, "golden"),
    Damage("other feature count than its card", _other_features, "63|64|card"),
    Damage("unknown format", _unknown_format, "format"),
    Damage("a tensor is missing", _missing_tensor, "fc2"),
    Damage("no file", _gone, "checkpoint"),
)
