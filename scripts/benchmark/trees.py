"""Trees of our source: where their packages are, copied to places that compare."""

import compileall
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark import BenchmarkError

_FOLDERS = ("service", "models")


@dataclass(frozen=True)
class Tree:
    """A tree of our source.

    Attributes:
        module: What `python -m` runs.
        paths: Where the packages are found; none for those that are installed.
    """

    module: str
    paths: tuple[Path, ...] = ()

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables under which Python finds this tree's packages."""
        paths = os.pathsep.join(map(str, self.paths))
        return {"PYTHONPATH": paths} if paths else {}


INSTALLED = Tree("sigmoid_serve")


def find_packages(root: Path) -> Tree:
    """Tell by what is there how a tree is run.

    Its packages are `service/sigmoid_serve` and `models/sigmoid_models`; in older trees
    `service` and `models` are themselves packages.

    Raises:
        BenchmarkError: It is neither.
    """
    if (root / "service" / "sigmoid_serve" / "__main__.py").is_file():
        return Tree("sigmoid_serve", tuple(root / each for each in _FOLDERS))
    if (root / "service" / "__main__.py").is_file():
        return Tree("service", (root,))
    raise BenchmarkError(f"{root} has neither service/sigmoid_serve nor service")


def copy_tree(root: Path, place: Path) -> Tree:
    """Copy a tree's packages and compile them.

    A checkout is up to a tenth slower than a folder that holds nothing else, so that
    trees are compared by copies that lie side by side.

    Args:
        root: The tree.
        place: The folder of the copy, which is made.

    Raises:
        BenchmarkError: There are no packages of ours.
    """
    find_packages(root)
    for folder in _FOLDERS:
        shutil.copytree(
            root / folder,
            place / folder,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    compileall.compile_dir(place, quiet=2)
    return find_packages(place)
