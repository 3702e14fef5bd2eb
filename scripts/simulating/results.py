"""The file of results: each command renews its own part."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmark.machine import facts
from simulating import SizingError

MEASURED, VALIDATED, SIMULATED = "measure", "validate", "simulate"
Results = dict[str, Any]


def read(path: Path) -> Results:
    """Read all that is known; nothing, where there is no file."""
    if not path.exists():
        return {}
    found: Results = json.loads(path.read_text(encoding="utf-8"))
    return found


def renew(path: Path, part: str, figures: Mapping[str, Any]) -> Results:
    """Put figures in the place of those of the same part; return everything."""
    machine = facts({})
    stamp = {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": machine["processor"],
        "cores": machine["cores"],
        "torch": machine["torch"],
    }
    all_of_it = {**read(path), part: {**stamp, **figures}}
    text = json.dumps(_rounded(all_of_it), indent=1, ensure_ascii=False)
    text = re.sub(r"([\[{])\s+([^\[\]{}]*?)\s+([\]}])", _on_one_line, text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    return all_of_it


def validated(results: Results, kind: str) -> Mapping[str, Any]:
    """Return the validation of a kind.

    Raises:
        SizingError: There is none, or it was not met.
    """
    found = results.get(VALIDATED, {}).get("kinds", {}).get(kind)
    if found is None:
        raise SizingError(
            f"nothing has shown that the simulation is right for {kind}: "
            f"scripts/sizing validate --kinds {kind}"
        )
    if not found["met"]:
        raise SizingError(
            f"the simulation of {kind} is not near enough to what was measured: "
            f"scripts/sizing validate --kinds {kind}, on a machine without other work"
        )
    validation: Mapping[str, Any] = found
    return validation


def _rounded(value: Any) -> Any:
    """Keep four digits; more are noise, and bytes."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value


def _on_one_line(found: re.Match[str]) -> str:
    return found[1] + re.sub(r",\s+", ", ", found[2]) + found[3]
