"""Rows of features for a network, and where they stand in a body."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sigmoid_models.dtype import Float64Array
from sigmoid_serve.errors import ElementError
from sigmoid_serve.json.text import extend_pointer


class Features(NamedTuple):
    """Rows for a network.

    Attributes:
        values: Raw features in float64, `(..., features)`, finite.
        names: The names of the features, if the rows came as records.
        place: JSON Pointer of the rows in the body; None where they came as bytes.
        is_flat: Whether they came as one list of numbers, whatever their shape.
    """

    values: Float64Array
    names: Sequence[str] | None = None
    place: str | None = "/inputs"
    is_flat: bool = False

    def rows(self) -> Float64Array:
        """Lay them out as `(rows, features)`."""
        values = self.values
        if values.ndim == 1:  # to add an axis takes less time
            return values[np.newaxis]
        return values if values.ndim == 2 else values.reshape(-1, values.shape[-1])

    def pointer(self, row: int, feature: int | None = None) -> str | None:
        """Return the JSON Pointer of a row of `rows`, or of a feature in it."""
        if self.place is None:
            return None
        *outer, count = self.values.shape
        if self.is_flat:
            return extend_pointer(self.place, row * count + (feature or 0))
        names: list[str | int] = []
        for size in reversed(outer):
            row, position = divmod(row, size)
            names.insert(0, position)
        if feature is not None:
            names.append(self.names[feature] if self.names else feature)
        return extend_pointer(self.place, *names)


def check_features(shape: Sequence[int], count: int, pointer: str | None) -> None:
    """Raise for a shape whose last dimension is not the network's.

    Raises:
        ElementError: `rank` or `features`.
    """
    if not shape:
        raise ElementError(
            "rank",
            pointer=pointer,
            expected=f"a list of {count} features, or lists of such lists",
            got="a bare number",
        )
    if shape[-1] != count:
        first_row = pointer and extend_pointer(pointer, *[0] * (len(shape) - 1))
        raise ElementError(
            "features",
            pointer=first_row,
            expected=f"{count} features in the last dimension",
            got=f"{shape[-1]}",
        )
