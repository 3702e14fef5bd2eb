"""The objects of `deploy/`, and the pods that they describe."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import yaml

from manifesting.documents import read_folder
from sigmoid_serve.configuration.settings import Settings
from tests.running import settings_of

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PREFIX = "SIGMOID_"

Tree: TypeAlias = dict[str, Any]

OBJECTS: dict[str, Tree] = {
    f"{each.kind[1]} {each.content['metadata']['name']}": dict(each.content)
    for each in read_folder(DEPLOY)
}
"""By kind and name."""


class Pod(NamedTuple):
    """What becomes a pod.

    Attributes:
        name: In tests.
        spec: Of the pod; of a ServingRuntime, what it has of one.
        labels: Of the pod.
    """

    name: str
    spec: Tree
    labels: dict[str, str]

    @property
    def container(self) -> Tree:
        """Its only container."""
        [container] = self.spec["containers"]
        return dict(container)

    @property
    def variables(self) -> dict[str, str]:
        """The variables of its container."""
        return {each["name"]: each["value"] for each in self.container.get("env", ())}

    @property
    def settings(self) -> Settings:
        """What the service reads of them."""
        return settings_of(
            **{k: v for k, v in self.variables.items() if k.startswith(PREFIX)}
        )

    def __str__(self) -> str:
        return self.name


def _of_template(name: str, template: Tree) -> Pod:
    return Pod(name, template["spec"], template["metadata"]["labels"])


def _pods() -> Iterator[Pod]:
    yield _of_template(
        "deployment", OBJECTS["Deployment sigmoid-serve"]["spec"]["template"]
    )
    yield _of_template("writer", OBJECTS["Pod models-writer"])
    yield Pod("runtime", OBJECTS["ServingRuntime sigmoid-serve"]["spec"], {})
    cluster = OBJECTS["RayService sigmoid-serve"]["spec"]["rayClusterConfig"]
    yield _of_template("ray-head", cluster["headGroupSpec"]["template"])
    [workers] = cluster["workerGroupSpecs"]
    yield _of_template("ray-worker", workers["template"])


PODS = {pod.name: pod for pod in _pods()}
OURS = [PODS["deployment"], PODS["runtime"]]
"""Those in which our own server listens."""


def load(path: str) -> Tree:
    """Read a file of `deploy/` that is one document."""
    return dict(yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8")))
