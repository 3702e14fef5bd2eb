"""What pods are made of here: folders in place of volumes, and a key."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from benchmark.trees import find_packages
from rolling import RolloutError
from rolling.kubelet import Template
from rolling.manifest import KEYS_FILE, MODELS, Deployment
from sigmoid_serve.http.authentication import new_key
from sigmoid_serve.repository.model_repository import PRETRAINED

_ROOT = Path(__file__).parents[2]
Headers = list[tuple[str, str]]


def make_template(deployment: Deployment, folder: Path) -> tuple[Template, Headers]:
    """Give each volume a folder, with the shipped models and a file of keys.

    Args:
        deployment: As the manifest says; its paths are those in the container.
        folder: An empty one.

    Returns:
        What pods are made of, and the headers that a client sends.

    Raises:
        RolloutError: A file that is asked for is in no volume.
    """
    places = {}
    for number, mount in enumerate(deployment.mounts):
        places[mount] = folder / f"volume{number}"
        places[mount].mkdir()
    environment = {
        name: os.pathsep.join(_placed(part, places) for part in value.split(os.pathsep))
        for name, value in deployment.environment.items()
    }
    if models := deployment.environment.get(MODELS):
        shutil.copytree(PRETRAINED, _within(MODELS, models, places), dirs_exist_ok=True)
    headers: Headers = []
    if keys := deployment.environment.get(KEYS_FILE):
        key, line = new_key("rollout", is_admin=False)
        _within(KEYS_FILE, keys, places).write_text(f"{line}\n", encoding="ascii")
        headers.append(("Authorization", f"Bearer {key}"))
    arguments = tuple(_placed(each, places) for each in deployment.arguments)
    template = Template(
        replace(deployment, arguments=arguments), _environment(environment), folder
    )
    return template, headers


def _placed(path: str, places: Mapping[str, Path]) -> str:
    """Replace the mount that a path begins with, if it does."""
    for mount, place in places.items():
        if path == mount or path.startswith(f"{mount}/"):
            return f"{place}{path.removeprefix(mount)}"
    return path


def _within(name: str, path: str, places: Mapping[str, Path]) -> Path:
    placed = _placed(path, places)
    if placed == path:
        mounts = ", ".join(places)[:200] or "none"
        raise RolloutError(
            f"{name}: expected a path in a volume, got {path}; volumeMounts: {mounts}"
        )
    return Path(placed)


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """Leave out settings of the service that this shell happens to have."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SIGMOID_") and name != "PORT"
    }
    return {**kept, **find_packages(_ROOT).environment, **own}
