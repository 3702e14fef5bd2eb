"""The manifests of `deploy/`, and which of them are objects of Kubernetes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import yaml

Object: TypeAlias = Mapping[str, Any]

KUSTOMIZATION: Final = "kustomization.yaml"


class Manifest(NamedTuple):
    """An object of Kubernetes, and where it stands.

    Attributes:
        place: Path of its file, or what has made it.
        content: The object.
    """

    place: str
    content: Object

    @property
    def kind(self) -> tuple[str, str]:
        """Its `apiVersion` and `kind`."""
        return self.content["apiVersion"], self.content["kind"]

    @property
    def label(self) -> str:
        """Its file, kind and name, in one line."""
        return f"{self.place}  {self.kind[1]} {self.content['metadata']['name']}"


def read(place: str, text: str) -> list[Manifest]:
    """Read the objects of a text of YAML.

    Documents that are none, such as patches and settings of other programs, are left
    out, and so are kustomizations, which never reach a cluster.
    """
    found = [
        Manifest(place, each)
        for each in yaml.safe_load_all(text)
        if isinstance(each, dict) and {"apiVersion", "kind", "metadata"} <= each.keys()
    ]
    return [each for each in found if each.kind[1] != "Kustomization"]


def read_folder(folder: Path) -> Iterator[Manifest]:
    """Read the objects of all files in a folder and those below it, by path."""
    for path in sorted(folder.rglob("*.yaml")):
        place = str(path.relative_to(folder.parent))
        yield from read(place, path.read_text(encoding="utf-8"))
