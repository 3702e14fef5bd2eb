"""Draws checkpoint files: good ones, damaged ones, and worse."""

from collections.abc import Mapping
from random import Random
from typing import Final, NamedTuple

from fuzzing.damage import Damage, damage_bytes
from fuzzing.files.bombs import BOMBS, named, suffix_of
from fuzzing.files.file import FUNCTIONS, File
from fuzzing.files.headers import CARD_DAMAGES, HEADER_DAMAGES
from fuzzing.files.instructions import damage_instructions
from fuzzing.files.malice import malicious, malicious_program
from fuzzing.files.people import Saved, saved_files, written
from fuzzing.files.structures import damage_structure, rearrange
from fuzzing.files.tutorial import tutorial_files
from sigmoid_models.intake.named import Named, Place

_INTACT_SHARE: Final = 0.02
_SAMPLED_SHARE: Final = 0.05
_BOMB_SHARE: Final = 0.004
_TUTORIAL_SHARE: Final = 0.3
_UNNAMED_SHARE: Final = 0.1
_HAND_SHARE: Final = 0.1
_PLACES: Final[tuple[Place, ...]] = ("before", "after")


class Sources(NamedTuple):
    """What files are made from.

    Attributes:
        tutorial: Good files of the tutorial's networks.
        people: What other programs save.
    """

    tutorial: list[File]
    people: list[Saved]


def make_sources() -> Sources:
    """Make one of each kind."""
    return Sources(tutorial_files(), saved_files())


def good_files(sources: Sources) -> list[File]:
    """Write each as it is, with all that must be named of it."""
    return [
        *sources.tutorial,
        *(_intact(Random(0), saved, is_told=True) for saved in sources.people),
    ]


def draw_file(seed: int, index: int, sources: Sources) -> File:
    """Draw a file; the same for the same seed, index and sources.

    Args:
        seed: Of the run.
        index: Of the file in the run.
        sources: See `make_sources`.
    """
    random = Random((seed << 40) + index)
    if random.random() < _BOMB_SHARE:
        bomb = named(random)
        content = BOMBS[bomb](random)
        return File(f"bomb, {bomb}", suffix_of(bomb), content, False, False)
    is_sampled = random.random() < _SAMPLED_SHARE
    if random.random() < _TUTORIAL_SHARE:
        file = _tutorials(random, random.choice(sources.tutorial))
    else:
        file = _others(random, random.choice(sources.people))
    return file._replace(is_sampled=is_sampled)


def _tutorials(random: Random, good: File) -> File:
    if random.random() < _INTACT_SHARE:
        return good._replace(kind=f"{good.kind}, intact")
    if good.suffix == ".safetensors":
        table = _CARDS if "ours" in good.kind else _SAFETENSORS
    else:
        table = _PICKLES
    name = random.choice([*table])
    content = _damaged(random, good.content, table[name])
    return good._replace(kind=f"{good.kind}, {name}", content=content, is_good=False)


def _others(random: Random, saved: Saved) -> File:
    """Draw what becomes of a file that a program saves."""
    share = random.random()
    if share < 5 * _INTACT_SHARE:
        return _intact(random, saved, is_told=random.random() > _UNNAMED_SHARE)
    table = _SAFETENSORS if saved.options is None else _PICKLES
    name = random.choice([*table, "structure", "structure", "order", "malice"])
    if name == "malice" and random.random() < _HAND_SHARE:
        content = malicious_program(random)
    elif name == "malice":
        content = written(malicious(random, saved.content), saved.options or {})
    elif name == "order":
        content = written(rearrange(random, saved.content), saved.options)
    elif name == "structure":
        content = written(damage_structure(random, saved.content), saved.options)
    else:
        whole = written(saved.content, saved.options)
        content = _damaged(random, whole, table[name])
    told = _named(random, saved)
    return File(
        f"{saved.kind}, {name}",
        _suffix(saved),
        content,
        is_good=False,
        is_bad=name == "malice",
        named=told if random.random() > _UNNAMED_SHARE else Named(),
        # Whatever else was done to it, a file may have become that of another one.
        network=saved.network if name == "order" else None,
    )


def _intact(random: Random, saved: Saved, *, is_told: bool) -> File:
    """Write a file as it is, with what is named of it, or without."""
    told = _named(random, saved)
    is_needed = saved.needs_activation or saved.is_unplaced
    if not is_told:
        told = Named()
    is_contradicted = told.activation is not None and (
        (saved.said is not None and {*told.activation} != {saved.said})
        or (saved.hinted is not None and saved.hinted not in told.activation)
    )
    is_bad = is_contradicted or (is_needed and not is_told)
    return File(
        f"{saved.kind}, intact",
        _suffix(saved),
        written(saved.content, saved.options),
        is_good=not is_bad,
        is_bad=is_bad,
        named=told,
        network=saved.network,
    )


def _named(random: Random, saved: Saved) -> Named:
    hidden = len(saved.network.layers) - 1
    names = [*FUNCTIONS]
    count = random.choice((1, hidden)) if hidden else 1
    activation = tuple(random.choice(names) for _ in range(count))
    word = saved.said or saved.hinted
    if word is not None and random.random() < 0.5:
        activation = (word,)
    place: Place | None = random.choice(_PLACES) if saved.is_unplaced else None
    return Named(activation=activation, batchnorm=place)


def _suffix(saved: Saved) -> str:
    return ".safetensors" if saved.options is None else ".pt"


def _damaged(random: Random, content: bytes, damage: Damage) -> bytes:
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        content = damage(random, content)
    return content


def _bits(random: Random, content: bytes) -> bytes:
    """Flip bits in the last part, which in every format is mostly weights."""
    values = bytearray(content)
    for _ in range(random.choice((1, 2, 8, 64))):
        at = len(values) - 1 - int(random.random() ** 2 * len(values))
        values[at] ^= 1 << random.randrange(8)
    return bytes(values)


_ANY: Final[Mapping[str, Damage]] = {"bytes": damage_bytes, "bits": _bits}
_SAFETENSORS: Final = {**_ANY, **HEADER_DAMAGES}
_CARDS: Final = {**_ANY, **CARD_DAMAGES}
_PICKLES: Final = {**_ANY, "instructions": damage_instructions}
