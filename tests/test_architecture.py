"""Imports go one way only, and no module knows more than it should."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted([*ROOT.glob("models/*.py"), *ROOT.glob("service/*.py")])
NO_WEB = (
    "array_shape",
    "array_skeleton",
    "array_text",
    "batching",
    "claims",
    "certificates",
    "cpus",
    "device",
    "elementwise",
    "engine",
    "environment",
    "errors",
    "exchange",
    "exchanging",
    "families",
    "healthcheck",
    "inference",
    "invariance",
    "json_answer",
    "json_body",
    "json_faults",
    "json_rows",
    "json_syntax",
    "json_text",
    "json_tokens",
    "json_walk",
    "keys",
    "line_writer",
    "loading",
    "logs",
    "machine",
    "metrics",
    "naming",
    "npy",
    "overlaps",
    "places",
    "origins",
    "queue",
    "readiness",
    "records",
    "reloading",
    "repository",
    "restarts",
    "scanning",
    "running",
    "shortcut",
    "sources",
    "starting",
    "spellings",
    "stamp",
    "telemetry",
    "tensors",
    "ticket",
    "troubles",
    "versions",
    "worker",
)


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {
                node.module or "",
                *(f"{node.module}.{a.name}" for a in node.names),
            }
    return names


def top_level(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_directions(path: Path) -> None:
    web = {"fastapi", "starlette", "uvicorn", "httpx"}
    if path.parent.name == "models":
        assert not top_level(path) & {"service", *web}
    elif path.stem in NO_WEB:
        assert not top_level(path) & web
    if path.stem in {"schemas", "tensors", "npy", "json_body", "routes"}:
        assert "torch" not in top_level(path)
