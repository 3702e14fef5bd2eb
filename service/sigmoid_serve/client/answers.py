"""What a server answers, as arrays."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
import simdjson
from numpy.typing import NDArray

from sigmoid_serve.client.errors import InvalidInputError, ServerError, invalid

# Bits of a float32 that a bfloat16 does not have.
_CUT_BITS: Final = 16


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one version of a model says of rows; `...` is the shape of the rows.

    Attributes:
        probabilities: float32 `(..., outputs)`, from 0 to 1.
        logits: float32 `(..., outputs)`, of the network.
        labels: `(...)`, names of classes or int64; bool `(..., outputs)` for multilabel
            models.
        classes: What each place of the last dimension is the probability of; None
            where the model does not name its classes.
        model: The name of the model.
        version: The version that answered, the same for all rows.
        link: What made the probabilities of the logits, `sigmoid` or `softmax`.
    """

    probabilities: NDArray[np.float32]
    logits: NDArray[np.float32]
    labels: NDArray[Any]
    classes: tuple[str, ...] | None
    model: str
    version: str
    link: str


@dataclass(frozen=True)
class Model:
    """A model that is served.

    Attributes:
        name: Its name.
        version: The newest version, asked by default.
        versions: All of them, the newest first.
        state: Of the newest, `ready` or `failed`.
        device: Where it is computed.
        is_default: Whether it is asked where none is named.
    """

    name: str
    version: str
    versions: tuple[str, ...]
    state: str
    device: str
    is_default: bool


def read_document(content: bytes) -> dict[str, Any]:
    """Read an answer that is a JSON object.

    Raises:
        ServerError: It is none.
    """
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise _not_ours()
    return document


def read_models(document: Mapping[str, Any]) -> tuple[Model, ...]:
    """Read the answer of `GET /models`.

    Raises:
        ServerError: It is no list of models.
    """
    try:
        return tuple(
            Model(
                name=each["name"],
                version=each["version"],
                versions=tuple(each["versions"]),
                state=each["state"],
                device=each["device"],
                is_default=each["name"] == document["default"],
            )
            for each in document["models"]
        )
    except (KeyError, TypeError):
        raise _not_ours() from None


def read_prediction(content: bytes) -> Prediction:
    """Read an answer to rows.

    Raises:
        ServerError: It is no prediction.
    """
    try:
        document: Any = simdjson.Parser().parse(content)
        shape = tuple(document["shape"])
        names = document.get("classes")
        return Prediction(
            probabilities=_singles(document["probabilities"], shape),
            logits=_singles(document["logits"], shape),
            labels=_labels(document["labels"], shape, names is not None),
            classes=None if names is None else tuple(names),
            model=document["model"],
            version=document["version"],
            link=document.get("link") or "sigmoid",
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _not_ours() from None


def _singles(numbers: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if 0 in shape:
        return np.empty(shape, np.float32)
    doubles = np.frombuffer(numbers.as_buffer(of_type="d"), np.float64)
    return nearest_singles(doubles).reshape(shape)


def nearest_singles(doubles: NDArray[np.float64]) -> NDArray[np.float32]:
    """Find the float32 whose shortest decimals were read as float64.

    To round twice may give a neighbour: the shortest decimals of a float32 may lie so
    close to the middle between two that their float64 is that middle.

    Args:
        doubles: `(n,)`, finite.
    """
    singles = doubles.astype(np.float32)
    distance = np.abs(doubles - singles)
    spacing = np.spacing(np.abs(singles))
    # Below a power of two, neighbours are half as far away.
    between = (distance * 2 == spacing) | (distance * 4 == spacing)
    for place in np.flatnonzero(between):
        middle = doubles[place]
        near = np.nextafter(singles[place], np.float32(np.copysign(np.inf, middle)))
        far = np.nextafter(singles[place], np.float32(-np.copysign(np.inf, middle)))
        for single in (singles[place], near, far):
            if float(str(single)) == middle:
                singles[place] = single
                break
    return singles


def _labels(labels: Any, shape: tuple[int, ...], are_named: bool) -> NDArray[Any]:
    if 0 in shape:
        return np.empty(shape[:-1], np.str_ if are_named else np.int64)
    return np.array(labels.as_list() if isinstance(labels, simdjson.Array) else labels)


def read_npy(content: bytes) -> NDArray[Any]:
    """Read an answer that is one array.

    Raises:
        ServerError: It is none.
    """
    try:
        array: NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError):
        raise _not_ours() from None
    return array


def read_bfloat16(content: bytes) -> NDArray[np.float32]:
    """Read the JSON answer that holds bfloat16, as the float32 of the same values.

    Raises:
        ServerError: It holds none.
    """
    document = read_document(content)
    try:
        numbers = np.array(document["outputs"], np.float32)
        bits = np.atleast_1d(numbers).view(np.uint32)
        half = (1 << _CUT_BITS - 1) - 1 + (bits >> _CUT_BITS & 1)
        kept = (bits + half.astype(np.uint32)) >> _CUT_BITS << _CUT_BITS
        return kept.view(np.float32).reshape(document["shape"])
    except (KeyError, TypeError, ValueError):
        raise _not_ours() from None


def join_predictions(
    parts: Sequence[Prediction], lead: tuple[int, ...] | None
) -> Prediction:
    """Join the answers to parts of the rows.

    Args:
        parts: In their order, at least one.
        lead: Shape of the rows, where they were laid out as one list to be sent; None
            where the answers have their shape.

    Raises:
        InvalidInputError: The parts do not fit together.
    """
    first = parts[0]
    return Prediction(
        probabilities=join_arrays([part.probabilities for part in parts], lead),
        logits=join_arrays([part.logits for part in parts], lead),
        labels=join_arrays([part.labels for part in parts], lead),
        classes=first.classes,
        model=first.model,
        version=first.version,
        link=first.link,
    )


def join_arrays(
    parts: Sequence[NDArray[Any]], lead: tuple[int, ...] | None
) -> NDArray[Any]:
    """Join arrays along their first dimension, in the shape of what was asked.

    Raises:
        InvalidInputError: The parts do not fit together.
    """
    if len(parts) > 1:
        start = 0
        for part in parts:
            if part.shape[1:] != parts[0].shape[1:]:
                raise _ragged(start, parts[0].shape[1:], part.shape[1:])
            start += len(part)
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return whole if lead is None else whole.reshape(lead + whole.shape[1:])


def _ragged(
    row: int, expected: tuple[int, ...], got: tuple[int, ...]
) -> InvalidInputError:
    pointer = f"/inputs/{row}"
    return invalid(
        "ragged",
        f"expected an element like the first at {pointer}: answers have the shape "
        f"{got} from there on, and {expected} before",
        "all rows must have the same shape",
        pointer=pointer,
    )


def _not_ours() -> ServerError:
    return ServerError(
        "the answer is not one of this service",
        code="bad_answer",
        hint="is there a sigmoid-serve of this version at this address?",
    )
