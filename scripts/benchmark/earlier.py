"""Results of an earlier run, of which some workloads were measured anew."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmark import BenchmarkError
from benchmark.figures import Figures, Key


class Results(NamedTuple):
    """What a run found.

    Attributes:
        machine: Facts by name.
        settings: Of the run, by name.
        figures: What was measured.
    """

    machine: Mapping[str, str]
    settings: Mapping[str, object]
    figures: Figures


def read_results(path: Path) -> Results:
    """Read what `report.write_json` wrote; nothing, where there is no file."""
    if not path.exists():
        return Results({}, {}, {})
    saved: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    figures: Figures = {
        Key(workload, case, server, quantity): values
        for workload, by_case in saved["figures"].items()
        for case, by_server in by_case.items()
        for server, by_quantity in by_server.items()
        for quantity, values in by_quantity.items()
    }
    return Results(saved["machine"], saved["settings"], figures)


def require_same_machine(old: Mapping[str, str], machine: Mapping[str, str]) -> None:
    """Refuse to put results of two machines into one table.

    Raises:
        BenchmarkError: The machine, or a package on it, is not what it was.
    """
    for name in old.keys() & machine.keys():
        if old[name] != machine[name]:
            raise BenchmarkError(
                f"the results to be kept are of {name} {old[name]}, and this is "
                f"{machine[name]}: measure all anew"
            )


def renewed(old: Results, new: Results, workloads: str) -> Results:
    """Put what was measured anew in the place of what was measured before.

    Args:
        old: All that is known.
        new: Of some workloads.
        workloads: Their names, beside which the settings of the new run are kept.
    """
    if not old.settings:
        return new
    again = {key.workload for key in new.figures}
    kept = {key: old.figures[key] for key in old.figures if key.workload not in again}
    settings = ", ".join(f"{name} {value}" for name, value in new.settings.items())
    return Results(
        {**old.machine, **new.machine},
        {**old.settings, f"{workloads} anew:": settings},
        {**kept, **new.figures},
    )
