"""What the figures were measured on: no names of hosts, no paths."""

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

_PACKAGES = (
    "sigmoid-serve",
    "torch",
    "numpy",
    "fastapi",
    "pydantic",
    "uvicorn",
    "uvloop",
    "httptools",
    "orjson",
    "pysimdjson",
)


def facts(pythons: Mapping[str, str]) -> dict[str, str]:
    """Name the processor and the versions of all that takes part.

    Args:
        pythons: By package of a peer, the interpreter that has it.
    """
    found = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "GPU": _gpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    for package, python in pythons.items():
        found[package] = _peer_version(package, python)
    found["wrk"] = _wrk_version()
    return found


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    names = [
        line.partition(":")[2] for line in text.splitlines() if "model name" in line
    ]
    return names[0].strip() if names else platform.machine()


def _gpu() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "none, so that nothing was measured on one"


def _peer_version(package: str, python: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    result = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, check=False
    )
    return result.stdout.strip() or "unknown"


def _wrk_version() -> str:
    # `wrk -v` says `wrk 4.1.0 [epoll] …` and ends with 1.
    result = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    words = (result.stdout + result.stderr).split()
    return words[1] if len(words) > 1 else "unknown"
