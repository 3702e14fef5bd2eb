"""How much faster or slower than others ours may be by the protocol."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from benchmark.figures import RATE, Figures, Key, ratio
from benchmark.open_inference.passes import (
    BATCH,
    BATCH_CONNECTIONS,
    NATIVE,
    NPY,
    ROWS,
    ROWS_CONNECTIONS,
    SIGMOID,
    STARTED,
)
from benchmark.programs import KSERVE, MLSERVER, OURS, PYTRITON
from benchmark.target import Target


class _Bound(NamedTuple):
    """What ours ÷ another must be."""

    other: str
    sign: Literal["≥", "≤"]
    bound: float


class _Measured(NamedTuple):
    """What was measured of a workload."""

    case: str
    quantity: str
    shown: str
    bounds: tuple[_Bound, ...]


_REQUIRED = {
    ROWS: _Measured(
        str(ROWS_CONNECTIONS),
        RATE,
        "requests/s",
        (
            _Bound(NATIVE, "≥", 0.8),
            _Bound(MLSERVER, "≥", 5),
            _Bound(KSERVE, "≥", 5),
            _Bound(PYTRITON, "≥", 5),
        ),
    ),
    BATCH: _Measured(
        str(BATCH_CONNECTIONS), RATE, "requests/s", (_Bound(PYTRITON, "≥", 2),)
    ),
    SIGMOID: _Measured(
        "", "seconds", "seconds", (_Bound(NPY, "≤", 1.2), _Bound(PYTRITON, "≤", 1))
    ),
}


def v2_targets(figures: Figures) -> Iterator[Target]:
    """List the targets, of pinned servers and as started."""
    for suffix in ("", STARTED):
        for name, measured in _REQUIRED.items():
            workload = f"{name}{suffix}"
            for other, sign, bound in measured.bounds:
                ours, its = (
                    Key(workload, measured.case, server, measured.quantity)
                    for server in (OURS, other)
                )
                shown = other.removeprefix(f"{OURS}, ")
                title = f"{workload}: {measured.shown}, ours ÷ {shown}"
                yield Target(title, sign, bound, "", ratio(figures, ours, its))
