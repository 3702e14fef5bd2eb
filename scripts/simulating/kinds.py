"""What is asked: the requests whose cost the page lists."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import orjson

from benchmark.client import Request
from benchmark.open_inference.tasks import HEADER_LENGTH
from benchmark.payloads import json_request, normal, npy_request

SHIPPED, LARGE = "shipped", "large"
# Ten hidden layers of 1,024 units.
_NOTES: Final = {LARGE: ", large network"}
_FEATURES: Final = {"breast-cancer": 30, "digits": 64, "large": 256}


@dataclass(frozen=True)
class Kind:
    """A request that is repeated.

    Attributes:
        shown: What the tables say.
        rows: Of a request; of `/sigmoid`, the rows of its array.
        connections: That ask at once, for the capacity.
        make: Makes the request.
        served: Which server is asked.
    """

    shown: str
    rows: int
    connections: int
    make: Callable[[], Request]
    served: str = SHIPPED


def predict_kind(
    model: str, features: int, rows: int, form: str, served: str = SHIPPED
) -> Kind:
    """Ask a model for some rows.

    Args:
        model: Its name.
        features: Of a row.
        rows: How many.
        form: `JSON` or `.npy`.
        served: Which server has the model.
    """
    make = npy_request if form == ".npy" else json_request
    return Kind(
        f"{rows:,} row{'s' * (rows > 1)} of {features} as {form}",
        rows,
        32 if rows < 1024 else 4,
        lambda: make(f"/models/{model}/predict", normal(rows, features)),
        served,
    )


def _of(model: str, rows: int, form: str, served: str = SHIPPED) -> Kind:
    kind = predict_kind(model, _FEATURES[model], rows, form, served)
    return replace(kind, shown=f"{kind.shown}{_NOTES.get(served, '')}")


def _binary(rows: int) -> Request:
    model = "breast-cancer"
    raw = normal(rows, _FEATURES[model]).astype("<f4").tobytes()
    tensor = {
        "name": "inputs",
        "shape": [rows, _FEATURES[model]],
        "datatype": "FP32",
        "parameters": {"binary_data_size": len(raw)},
    }
    wanted = {"name": "logits", "parameters": {"binary_data": True}}
    head = orjson.dumps({"inputs": [tensor], "outputs": [wanted]})
    headers = (
        ("Content-Type", "application/octet-stream"),
        (HEADER_LENGTH, str(len(head))),
    )
    return Request("POST", f"/v2/models/{model}/infer", head + raw, headers)


KINDS: Final[Mapping[str, Kind]] = {
    "row": _of("breast-cancer", 1, "JSON"),
    "rows": _of("breast-cancer", 32, "JSON"),
    "rows-128": _of("breast-cancer", 128, "JSON"),
    "json": _of("breast-cancer", 1024, "JSON"),
    "npy": _of("breast-cancer", 1024, ".npy"),
    "long-npy": _of("breast-cancer", 4096, ".npy"),
    "binary": Kind(
        "1,024 rows of 30, Open Inference binary", 1024, 4, lambda: _binary(1024)
    ),
    "digits": _of("digits", 1, "JSON"),
    "sigmoid": Kind(
        "sigmoid of 1000 × 1000 as .npy",
        1000,
        1,
        lambda: npy_request("/sigmoid", normal(1000, 1000)),
    ),
    "large": _of("large", 1, "JSON", LARGE),
    "large-npy": _of("large", 1024, ".npy", LARGE),
}
"""By name, the kinds of the page's table."""


def kinds_of(model: str, features: int) -> dict[str, Kind]:
    """List the kinds of a model of yours.

    Args:
        model: Its name.
        features: Of a row.
    """
    cases = ((1, "JSON"), (32, "JSON"), (1024, "JSON"), (1024, ".npy"), (4096, ".npy"))
    return {
        f"{rows} {form}": predict_kind(model, features, rows, form)
        for rows, form in cases
    }
