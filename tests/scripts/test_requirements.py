"""What is installed is pinned, with hashes: all that pyproject.toml needs, no more."""

import json
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scripts" / "requirements"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SERVE = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
BUILD = [*PROJECT["build-system"]["requires"], "editables"]
NEEDED = {
    "serve": SERVE,
    "build": BUILD,
    "dev": [*SERVE, *EXTRAS["train"], *EXTRAS["dev"], *BUILD],
}
# What scripts/clients calls with, and scripts/manifests checks with.
CALLING = ("clients", "kserve", "mlserver", "kubernetes")
# It comes from an index of its own, and with it what its builds for CUDA need.
UNHASHED = re.compile(r"torch|triton|(cuda|nvidia)-.*")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def entries(name: str) -> Iterator[tuple[Requirement, list[str]]]:
    """Read a file: each requirement, and its options."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    for line in text.replace("\\\n", " ").splitlines():
        if not line.startswith("#"):
            requirement, *options = re.split(r"\s+(?=--)", line.strip())
            yield Requirement(requirement), options


def pins(name: str) -> dict[str, str]:
    return {
        canonicalize_name(requirement.name): str(requirement.specifier)
        for requirement, _ in entries(name)
    }


def closure(needed: list[str]) -> set[str]:
    """Name all that is needed on this machine, whatever needs it."""
    waiting = [Requirement(text) for text in needed]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            below = [Requirement(text) for text in requires(name) or ()]
            waiting += [r for r in below if is_needed(r, extra)]
    return {name for name, _ in seen if not UNHASHED.fullmatch(name)}


def is_needed(requirement: Requirement, extra: str = "") -> bool:
    marker = requirement.marker
    return marker is None or marker.evaluate({"extra": extra})


@pytest.mark.parametrize("name", [*NEEDED, *CALLING])
def test_each_is_pinned_with_hashes(name: str) -> None:
    found = list(entries(name))
    # Some have a version for each Python.
    once = {(requirement.name, str(requirement.marker)) for requirement, _ in found}
    assert len(once) == len(found) > 0
    for requirement, options in found:
        assert requirement.url is None
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert options, f"{requirement} has no hash"
        assert all(HASH.fullmatch(option) for option in options), options


@pytest.mark.parametrize(
    ("name", "needed", "others"),
    [
        ("serve", SERVE, []),
        ("dev", [*SERVE, *EXTRAS["train"], *EXTRAS["dev"]], ["build"]),
    ],
)
def test_all_that_is_needed_is_there_and_no_more(
    name: str, needed: list[str], others: list[str]
) -> None:
    here = {
        canonicalize_name(requirement.name)
        for requirement, _ in entries(name)
        if is_needed(requirement)
    }
    assert here == closure(needed).union(*map(pins, others))


@pytest.mark.parametrize("name", NEEDED)
def test_the_pins_are_those_of_pyproject_and_of_each_other(name: str) -> None:
    pinned = {**pins(name), **pins("torch")}
    for needed in map(Requirement, NEEDED[name]):
        version = pinned[canonicalize_name(needed.name)].removeprefix("==")
        assert needed.specifier.contains(version), f"{needed} is pinned to {version}"
    assert pins(name).items() <= pins("dev").items()


def test_what_builds_is_that_of_pyproject() -> None:
    lines = (FOLDER / "build.in").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == BUILD


@pytest.mark.parametrize("name", CALLING)
def test_clients_are_pinned(name: str) -> None:
    lines = (FOLDER / f"{name}.in").read_text(encoding="utf-8").splitlines()
    assert {line for line in lines if not line.startswith("#")} <= pins(name).keys()


def test_packages_of_typescript_are_pinned() -> None:
    folder = ROOT / "scripts" / "calling" / "typescript"
    lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    top, *others = lock["packages"].values()
    for kind in ("dependencies", "devDependencies"):
        assert top[kind] == package[kind]
    for other in others:
        assert other["integrity"].startswith("sha512-")
        # From whichever registry is set up.
        assert "resolved" not in other


def test_the_pythons_that_are_claimed_are_those_of_the_image() -> None:
    claimed = [
        name.rpartition(" :: ")[2]
        for name in PROJECT["project"]["classifiers"]
        if name.startswith("Programming Language :: Python :: ")
    ]
    assert PROJECT["project"]["requires-python"] == f">={claimed[0]}"
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    used = re.findall(r"^FROM python:([\d.]+)-", text, re.MULTILINE)
    assert used
    assert set(used) <= set(claimed)


@pytest.mark.parametrize("file", ["scripts/install", "Dockerfile"])
def test_hashes_are_required(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"pip install[^\n;&]*", text)
    assert len(commands) >= 3
    for command in commands:
        hashed = "--require-hashes" in command
        is_torch = "torch.txt" in command
        assert hashed or is_torch or "--no-deps" in command, command
