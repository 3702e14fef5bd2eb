"""A second opinion on `/sigmoid` and `/predict`, which shares no code with the service.

Python's own JSON parser, told to be strict, and NumPy decide whether a body is a dense
finite tensor within the limits; the plain formula in float64 gives its sigmoid.
"""

import io
import json
import warnings
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from fuzzing.application import MAX_BODY_BYTES, MAX_ELEMENTS, Answer
from fuzzing.json_bodies import DTYPES, Model
from fuzzing.requests import Request

MAX_RANK: Final = 32

# Numbers from here on round to infinity: half a step beyond the largest of the type.
_INFINITE_FROM: Final = {
    "float16": 65520.0,
    "bfloat16": (2 - 2.0**-8) * 2.0**127,
    "float32": (2 - 2.0**-24) * 2.0**127,
    "float64": np.inf,
}
# Relative error: two halves of a unit in the last place, one for the value and one for
# its decimal digits; a few units for float64, in which the formula itself rounds.
_TOLERANCES: Final = {
    "float16": 2.0**-10,
    "bfloat16": 2.0**-7,
    "float32": 2.0**-23,
    "float64": 2.0**-50,
}
_SMALLEST: Final = {
    "float16": 2.0**-24,
    "bfloat16": 2.0**-133,
    "float32": 2.0**-149,
    "float64": 2.0**-1074,
}
# Features beyond may be too large once they are scaled; the oracle knows no scaler.
_SAFE_FEATURE = 1e30

Floats = NDArray[np.float64]


class Wanted(NamedTuple):
    """What the answer to a body must be.

    Attributes:
        accepted: Whether its status must be 200; None where that is not known.
        inputs: Of the sigmoid.
        dtype: Of the sigmoid.
        key: Under which the answer holds the outputs.
    """

    accepted: bool | None
    inputs: list[Floats] | None = None
    dtype: str = "float32"
    key: Literal["outputs", "batch"] = "outputs"


_REFUSED = Wanted(accepted=False)


def disagreement(
    request: Request, answer: Answer, models: Sequence[Model]
) -> str | None:
    """Compare an answer with what the oracle wants; None where it has no opinion."""
    if request.reads is None:
        return None
    if request.reads == "npy":
        return _npy_disagreement(request, answer)
    wanted = _wanted(request, models)
    if wanted.accepted is None:
        return None
    if wanted.accepted != (answer.status == 200):
        verb = "accept" if wanted.accepted else "refuse"
        return f"the oracle would {verb} it, the status is {answer.status}"
    if wanted.inputs is None or request.answer == "npy":
        return None
    outputs = json.loads(answer.body)[wanted.key]
    if wanted.key == "outputs":
        outputs = [outputs]
    return _values_fault(wanted.inputs, outputs, wanted.dtype)


def _wanted(request: Request, models: Sequence[Model]) -> Wanted:
    document = _strict_object(request.body)
    if document is None or len(request.body) > MAX_BODY_BYTES:
        return _REFUSED
    if request.path == "/sigmoid":
        return _wanted_sigmoid(document, request)
    (model,) = (model for model in models if model.path == request.path)
    document = _without_null(document, ("inputs",))
    rows = _rows(document["inputs"], model) if set(document) == {"inputs"} else None
    if rows is None:
        return _REFUSED
    is_safe = bool((np.abs(rows) < _SAFE_FEATURE).all())
    return Wanted(accepted=True if is_safe else None)


def _wanted_sigmoid(document: dict[str, Any], request: Request) -> Wanted:
    document = _without_null(document, ("inputs", "batch", "dtype"))
    dtype = document.pop("dtype", "float32")
    if dtype not in DTYPES or len(document) != 1:
        return _REFUSED
    ((key, value),) = document.items()
    if key not in ("inputs", "batch") or (
        key == "batch" and not isinstance(value, list)
    ):
        return _REFUSED
    tensors = [_tensor(part) for part in (value if key == "batch" else [value])]
    inputs = [tensor for tensor in tensors if tensor is not None]
    is_good = (
        len(inputs) == len(tensors)
        and sum(tensor.size for tensor in inputs) <= MAX_ELEMENTS
        and all((np.abs(tensor) < _INFINITE_FROM[dtype]).all() for tensor in inputs)
        and not (request.answer == "npy" and (key == "batch" or dtype == "bfloat16"))
    )
    if not is_good:
        return _REFUSED
    rounded = [_rounded(tensor, dtype) for tensor in inputs]
    return Wanted(True, rounded, dtype, "batch" if key == "batch" else "outputs")


def _without_null(document: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Leave out known fields whose value is null."""
    return {
        name: value
        for name, value in document.items()
        if value is not None or name not in names
    }


def _strict_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands twice")
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


_DECODER: Final = json.JSONDecoder(
    parse_int=float, parse_constant=_no_constant, object_pairs_hook=_unique
)


def _tensor(value: Any) -> Floats | None:
    rest = [value]
    while rest:
        part = rest.pop()
        if type(part) is list:
            rest += part
        elif type(part) is not float:
            return None
    try:
        array = np.array(value, dtype=np.float64)
    except ValueError:
        return None
    return array if array.ndim <= MAX_RANK and np.isfinite(array).all() else None


def _rows(value: Any, model: Model) -> Floats | None:
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        if not all(isinstance(part, dict) for part in value) or model.names is None:
            return None
        if any(set(record) != set(model.names) for record in value):
            return None
        value = [[record[name] for name in model.names] for record in value]
    rows = _tensor(value)
    if rows is None or rows.ndim == 0 or rows.shape[-1] != model.features:
        return None
    return rows if rows.size <= MAX_ELEMENTS else None


def _rounded(values: Floats, dtype: str) -> Floats:
    if dtype == "bfloat16":
        mantissa, exponent = np.frexp(values)
        rounded: Floats = np.ldexp(np.rint(mantissa * 256), exponent - 8)
        return rounded
    with np.errstate(under="ignore"):
        return values.astype(dtype).astype(np.float64)


def _npy_disagreement(request: Request, answer: Answer) -> str | None:
    """What was accepted must be an array to NumPy, too; it takes more than we do."""
    if answer.status != 200:
        return None
    try:
        with warnings.catch_warnings(action="ignore"):
            values = np.load(io.BytesIO(request.body), allow_pickle=False)
    except Exception as error:
        # Documented are ValueError, EOFError and OSError; a header may raise others.
        return f"NumPy would refuse it: {error!r}"
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        return f"it holds {values.dtype} that should be refused"
    if request.path != "/sigmoid" or request.answer == "npy":
        return None
    dtype = (
        values.dtype.newbyteorder("=").name if values.dtype.kind == "f" else "float32"
    )
    inputs = values.astype(np.float64)
    return _values_fault([inputs], [json.loads(answer.body)["outputs"]], dtype)


def _values_fault(inputs: list[Floats], outputs: list[Any], dtype: str) -> str | None:
    if len(inputs) != len(outputs):
        return f"{len(inputs)} tensors have {len(outputs)} answers"
    for tensor, output in zip(inputs, outputs, strict=True):
        got = np.array(output, dtype=np.float64)
        if got.size != tensor.size:
            return f"{tensor.size} elements have {got.size} answers"
        exponential = np.exp(-np.abs(tensor))
        want = np.where(tensor < 0, exponential, 1.0) / (1.0 + exponential)
        error = np.abs(got.reshape(tensor.shape) - want)
        if not (error <= want * _TOLERANCES[dtype] + _SMALLEST[dtype]).all():
            return f"a value is off by {error.max():.1e}, beyond {dtype}"
    return None
