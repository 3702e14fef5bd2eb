"""A scaler that was fitted elsewhere, read from a JSON or CSV file."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sigmoid_models.card import Scaler
from sigmoid_models.messages import UserError, one_line
from sigmoid_models.tables.whole import read_whole

SHAPES: Final = (
    'expected {"mean": […], "scale": […]} in JSON, or a CSV with the columns mean, '
    "scale and perhaps feature, a row per feature"
)


class ScalerRead(NamedTuple):
    """A scaler, and what should be said of it."""

    scaler: Scaler
    notes: tuple[str, ...]


class ScalerError(UserError):
    """A file that is no scaler of this network: what was found, what was expected."""

    def __init__(self, path: Path, finding: str) -> None:
        super().__init__(one_line(f"{path}: {finding}"))


def read_scaler(
    path: Path, count: int, features: Sequence[str] | None = None
) -> ScalerRead:
    """Read the mean and the scale of each feature.

    A scale of 0, that of a feature which never varied, becomes 1, as scikit-learn has
    it.

    Args:
        path: JSON with the lists `mean` and `scale`, or a CSV with these columns.
        count: Features that the network takes.
        features: Their names, where known; a CSV with a column `feature` is put into
            their order.

    Raises:
        UserError: The file cannot be read, has another shape, or numbers that are no
            scaler of these features.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise ScalerError(path, reason) from None
    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        mean, scale = _of_json(path, content)
    else:
        mean, scale = _of_csv(path, features)
    for name, values in (("mean", mean), ("scale", scale)):
        if len(values) != count:
            finding = f"{name} has {len(values)} entries, the network {count} features"
            raise ScalerError(path, finding)
    if min(scale) < 0:
        raise ScalerError(path, f"a scale is {min(scale)}, and must be more than 0")
    constant = [position for position, value in enumerate(scale) if not value]
    notes = [f"of {_shown(constant, features)} the scale was 0 and is 1"]
    fitted = Scaler(mean=tuple(mean), scale=tuple(value or 1.0 for value in scale))
    return ScalerRead(fitted, tuple(notes if constant else ()))


def _of_json(path: Path, content: bytes) -> tuple[list[float], list[float]]:
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise ScalerError(path, f"it is not JSON; {SHAPES}") from None
    if not isinstance(document, dict) or document.keys() != {"mean", "scale"}:
        keys = ", ".join(map(str, document)) if isinstance(document, dict) else "a list"
        raise ScalerError(path, f"{SHAPES}, got {keys[:128] or 'nothing'}")
    for name, values in document.items():
        if not isinstance(values, list) or not all(map(_is_number, values)):
            raise ScalerError(path, f"{name} must be a list of finite numbers")
    return [float(x) for x in document["mean"]], [float(x) for x in document["scale"]]


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _of_csv(
    path: Path, features: Sequence[str] | None
) -> tuple[list[float], list[float]]:
    table = read_whole(path)
    if not {"mean", "scale"} <= {*table.names} <= {"mean", "scale", "feature"}:
        raise ScalerError(path, f"{SHAPES}, got {', '.join(table.names)[:128]}")
    rows = table.numbers(("mean", "scale")).tolist()
    if "feature" in table.names and features is not None:
        names = table.texts("feature")
        for name in features:
            if names.count(name) != 1:
                finding = f"it has {names.count(name)} rows of the feature {name!r}"
                raise ScalerError(path, finding)
        for name in names:
            if name not in features:
                finding = f"it has a row of {name!r}, which is no feature"
                raise ScalerError(path, finding)
        rows = [rows[names.index(name)] for name in features]
    return [mean for mean, _ in rows], [scale for _, scale in rows]


def _shown(positions: Sequence[int], features: Sequence[str] | None) -> str:
    names = [features[i] if features else f"feature {i + 1}" for i in positions[:6]]
    return ", ".join(names) + (", …" if len(positions) > 6 else "")
