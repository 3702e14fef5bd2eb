"""Checks of answers, which are read by the specification and nothing else."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import httpx
import numpy as np
from numpy.typing import NDArray

from conforming.case import JSON_LENGTH, Check

_DTYPES: Final = {
    "BOOL": "?",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "INT64": "<i8",
}
_JSON: Final = "application/json"
# Relative, of an input and an output that are both rounded, and written shortly.
_PRECISIONS: Final = {"BF16": 2**-7, "FP16": 2**-10, "FP32": 2**-21, "FP64": 2**-48}


class Tensor(NamedTuple):
    """An output.

    Attributes:
        values: In one list.
        is_binary: Whether they came after the JSON.
    """

    datatype: str
    shape: list[int]
    values: list[Any]
    is_binary: bool


def outputs(response: httpx.Response) -> dict[str, Tensor]:
    """Read the outputs of an answer, in their order.

    Raises:
        ValueError: It breaks a rule of the protocol or of its binary extension.
        KeyError: A member that the protocol requires is absent.
    """
    content = response.content
    said = response.headers.get(JSON_LENGTH)
    length = len(content) if said is None else int(said)
    document = json.loads(content[:length])
    rest = memoryview(content)[length:]
    found = {}
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if (size is None) == ("data" not in output):
            raise ValueError("an output has both data and binary data, or none")
        if size is None:
            values = output["data"]
        else:
            values = list(_binary(output["datatype"], rest[:size]))
            rest = rest[size:]
        if len(values) != math.prod(output["shape"]):
            raise ValueError("the shape is not that of the data")
        found[output["name"]] = Tensor(
            output["datatype"], output["shape"], values, size is not None
        )
    if rest or (said is None) == any(t.is_binary for t in found.values()):
        raise ValueError("the length of the JSON is not as it was said")
    media = "application/octet-stream" if said else _JSON
    if response.headers["content-type"] != media:
        raise ValueError(f"the content type is not {media}")
    return found


def _binary(datatype: str, data: memoryview) -> Iterator[Any]:
    if datatype == "BYTES":
        while data:
            size = int.from_bytes(data[:4], "little")
            yield bytes(data[4 : 4 + size]).decode()
            data = data[4 + size :]
    elif datatype == "BF16":
        bits = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        yield from bits.view(np.float32).tolist()
    else:
        array: NDArray[Any] = np.frombuffer(data, _DTYPES[datatype])
        yield from array.tolist()


def sigmoids(values: Sequence[float]) -> list[float]:
    """Compute the sigmoid by its definition."""
    return [1 / (1 + math.exp(-value)) for value in values]


def answers(
    shape: list[int],
    datatype: str,
    values: Sequence[float] | None = None,
    name: str = "outputs",
    is_binary: bool = False,
) -> Check:
    """Expect an output.

    Args:
        shape: Of it.
        datatype: Of it.
        values: In one list, numbers to the datatype's precision; any where None.
        name: Of it.
        is_binary: Whether it comes after the JSON.
    """

    def check(response: httpx.Response) -> bool:
        output = outputs(response)[name]
        expected = (datatype, shape, is_binary)
        is_so = (output.datatype, output.shape, output.is_binary) == expected
        if values is None or not is_so:
            return is_so
        return len(values) == len(output.values) and all(
            math.isclose(got, want, rel_tol=_PRECISIONS[datatype])
            for got, want in zip(output.values, values, strict=True)
        )

    return check


def names(*expected: str) -> Check:
    """Expect these outputs in this order."""
    return lambda response: tuple(outputs(response)) == expected


def error(*words: str) -> Check:
    """Expect an error as the protocol has it, whose text has these words."""

    def check(response: httpx.Response) -> bool:
        document = response.json()
        return (
            response.headers["content-type"] == _JSON
            and "content-encoding" not in response.headers
            and list(document) == ["error"]
            and isinstance(document["error"], str)
            and all(word in document["error"] for word in words)
        )

    return check


def has(**members: Any) -> Check:
    """Expect a JSON object with these members, and with others or without."""

    def check(response: httpx.Response) -> bool:
        document = json.loads(response.content[: _json_length(response)])
        return bool(document.items() >= members.items())

    return check


def lacks(name: str) -> Check:
    """Expect a JSON object without a member."""
    return lambda response: (
        name not in json.loads(response.content[: _json_length(response)])
    )


def _json_length(response: httpx.Response) -> int:
    return int(response.headers.get(JSON_LENGTH, len(response.content)))


def equals(expected: Any) -> Check:
    """Expect this as JSON, and nothing else."""
    return lambda response: (
        response.json() == expected and response.headers["content-type"] == _JSON
    )


def header(name: str, value: str | None) -> Check:
    """Expect a header; that it is absent where the value is None."""
    return lambda response: response.headers.get(name) == value


def both(*checks: Check) -> Check:
    """Expect all of that."""
    return lambda response: all(check(response) for check in checks)


def has_models(*expected: str) -> Check:
    """Expect the names of models, and no others, in any order."""
    return lambda response: sorted(response.json()["models"]) == sorted(expected)


def has_state(model: str, state: str | None) -> Check:
    """Expect an index that says this of a model; None: that it does not have it."""

    def check(response: httpx.Response) -> bool:
        states = [m["state"] for m in response.json() if m["name"] == model]
        return states == ([] if state is None else [state])

    return check


def is_statistics(model: str) -> Check:
    """Expect the statistics of a model, as Triton's document has them."""

    def check(response: httpx.Response) -> bool:
        found = {m["name"]: m for m in response.json()["model_stats"]}
        stages = found[model]["inference_stats"]
        names = {"success", "fail", "queue", "compute_input", "compute_infer"}
        return (
            {*names, "compute_output", "cache_hit", "cache_miss"} <= {*stages}
            and all({"count", "ns"} <= {*duration} for duration in stages.values())
            and {"version", "last_inference"} <= {*found[model]}
            and {"inference_count", "execution_count"} <= {*found[model]}
        )

    return check
