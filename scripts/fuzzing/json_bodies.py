"""Good JSON bodies of every kind, in many ways of writing them."""

import json
import math
from collections.abc import Sequence
from random import Random
from typing import Final, Literal, NamedTuple

Media = Literal["json", "npy"]


class Model(NamedTuple):
    """A model that may be asked.

    Attributes:
        path: Of its route.
        features: How many a row has.
        names: Of the features, where the model names them.
    """

    path: str
    features: int
    names: Sequence[str] | None


class Good(NamedTuple):
    """A body that must be answered with 200.

    Attributes:
        path: Where to send it.
        media: What it is written in.
        body: Its bytes.
        fits_npy: Whether the answer can be written as `.npy`.
    """

    path: str
    media: Media
    body: bytes
    fits_npy: bool


DTYPES: Final = ("float16", "bfloat16", "float32", "float64")

# Within the range of every dtype, and none that a scaler would make too large.
NUMBERS: Final = (
    "0",
    "-0",
    "-0.0",
    "1",
    "-1",
    "1E+2",
    "-2.5e-3",
    "5e-324",
    "-4.9406564584124654e-324",
    "2.2250738585072011e-308",
    "1.17549435e-38",
    "1e-400",
    "0e99",
    "65503",
    "-65503.99",
    "-745.25",
)
LONG_NUMBERS: Final = (
    "0." + "3" * 60,
    "123." + "4567" * 30,
    "0." + "0" * 340 + "1",
    "-" + "0." + "0" * 30 + "9" * 1000,
)

_LARGE_SHARE = 0.004

# So many long numbers would be more than a body may have.
_MANY = 2000
_MEDIUM_SHARE = 0.05
_DEEP_SHARE = 0.08


def draw_shape(random: Random) -> list[int]:
    """Draw a shape: mostly a few elements, at times many, or many dimensions."""
    share = random.random()
    if share < _MEDIUM_SHARE:
        # A large one makes a body of 200 to 500 KiB.
        is_large = share < _LARGE_SHARE
        size = random.randint(15_000, 35_000) if is_large else random.randint(9, 1500)
        return random.choice(
            ([size], [size, 1], [1, size], [size // 4, 4], [3, size // 9, 3], [size, 0])
        )
    if share < _DEEP_SHARE:
        return random.choices((1, 1, 1, 1, 1, 1, 1, 2), k=random.randint(5, 32))
    return random.choices((0, 1, 1, 2, 2, 3, 4), k=random.choice((0, 1, 1, 1, 2, 2, 3)))


def sigmoid_tensor(random: Random, models: Sequence[Model]) -> Good:
    """Draw one tensor for `/sigmoid`."""
    del models
    dtype = random.choice((None, *DTYPES))
    members = {"inputs": _tensor(random, draw_shape(random))}
    if dtype:
        members["dtype"] = f'"{dtype}"'
    return Good("/sigmoid", "json", _object(random, members), dtype != "bfloat16")


def sigmoid_batch(random: Random, models: Sequence[Model]) -> Good:
    """Draw several tensors for `/sigmoid`, of one shape or each of its own."""
    del models
    count = random.choice((0, 1, 2, 3, 5, 40))
    shape = random.choice(([], [3], [2, 2]))
    is_even = random.random() < 0.5
    tensors = (
        _tensor(random, shape if is_even else random.choices((0, 1, 2), k=position % 3))
        for position in range(count)
    )
    members = {"batch": f"[{random.choice((',', ' , ')).join(tensors)}]"}
    if random.random() < 0.5:
        members["dtype"] = f'"{random.choice(DTYPES)}"'
    return Good("/sigmoid", "json", _object(random, members), fits_npy=False)


def rows(random: Random, models: Sequence[Model]) -> Good:
    """Draw one row of features, or many, for a model."""
    model = random.choice(models)
    many = random.randint(400, 700) if random.random() < _LARGE_SHARE else 40
    leading = random.choice(([], [1], [2], [3], [2, 1, 2], [many]))
    text = _tensor(random, [*leading, model.features])
    return Good(model.path, "json", _object(random, {"inputs": text}), fits_npy=True)


def records(random: Random, models: Sequence[Model]) -> Good:
    """Draw a record of features, or a list of them, for a model that names them."""
    model = random.choice([model for model in models if model.names])
    count = random.choice((0, 1, 1, 2, 5))
    texts = [
        _object(
            random,
            dict(zip(model.names or (), _numbers(random, model.features), strict=True)),
        ).decode()
        for _ in range(max(1, count))
    ]
    text = f"[{','.join(texts)}]" if count else texts[0]
    return Good(model.path, "json", _object(random, {"inputs": text}), fits_npy=True)


def _numbers(random: Random, count: int) -> list[str]:
    pool = random.choices(NUMBERS, k=4) + [repr(random.gauss(0, 4)) for _ in range(8)]
    if count < _MANY:
        pool[0] = random.choice(LONG_NUMBERS)
    return random.choices(pool, k=count)


def _tensor(random: Random, shape: Sequence[int]) -> str:
    comma = random.choice((",", ",", ", ", " ,\r\n\t"))
    parts = _numbers(random, math.prod(shape))
    for level in range(len(shape) - 1, -1, -1):
        size = shape[level]
        parts = [
            f"[{comma.join(parts[row * size : (row + 1) * size])}]"
            for row in range(math.prod(shape[:level]))
        ]
    return parts[0]


def _object(random: Random, members: dict[str, str]) -> bytes:
    names = list(members)
    random.shuffle(names)
    colon = random.choice((":", ": ", "\t:\n"))
    edge = random.choice(("", "", " ", "\r\n\t "))
    text = ",".join(f"{_key(random, name)}{colon}{members[name]}" for name in names)
    return f"{edge}{{{edge}{text}{edge}}}{edge}".encode()


def _key(random: Random, name: str) -> str:
    if random.random() < 0.02:
        return '"' + "".join(f"\\u{ord(letter):04x}" for letter in name) + '"'
    return json.dumps(name)
