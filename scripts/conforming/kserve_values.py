"""What the cases after KServe's tests send, and what comes of it."""

from typing import Any, Final

import numpy as np

from conforming.answers import answers, sigmoids
from conforming.case import tensor

VALUES: Final = [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]
FLAT: Final = [value for row in VALUES for value in row]
SIGMOIDS: Final = sigmoids(FLAT)
HALVES: Final = np.array(VALUES, "<f2").tobytes()

# As its tests put parameters of all kinds everywhere.
PARAMETERS: Final[dict[str, Any]] = {
    "test-str": "dummy",
    "test-bool": True,
    "test-int": 100,
    "test-float": 1.3,
}
PIXELS: Final = tensor([2, 64], "FP32", [0.0] * 128)


def asked(name: str, **parameters: Any) -> dict[str, Any]:
    """Ask for an output, with parameters."""
    return {"name": name, "parameters": parameters}


def digits(name: str, is_binary: bool, columns: int = 10) -> Any:
    """Check an output of the model `digits`, of two rows."""
    return answers([2, columns], "FP32", name=name, is_binary=is_binary)
