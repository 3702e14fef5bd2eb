"""The README is true: its requests are answered as printed, its settings are all."""

import json
import re
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from sigmoid_serve.configuration.environment import PREFIX
from sigmoid_serve.configuration.settings import Settings, shown_default
from sigmoid_serve.monitoring.families import FAMILIES
from tests.http.test_openapi import close

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```console\n\$ (curl .*?)\n(\{\S.*?)\n```", README, re.DOTALL)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == README.count("```console") >= 4


@pytest.mark.parametrize(("command", "printed"), EXAMPLES)
def test_every_request_is_answered_as_printed(
    client: httpx.Client, command: str, printed: str
) -> None:
    address = f"{client.base_url.host}:{client.base_url.port}"
    assert "localhost:8080" in command
    result = subprocess.run(
        ["bash", "-c", command.replace("localhost:8080", address)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    got: dict[str, Any] = json.loads(result.stdout)
    want: dict[str, Any] = json.loads(printed)
    # The phrase of status 422 changed with a later edition of the HTTP standard.
    assert got.pop("title", None) is not None or "title" not in want
    want.pop("title", None)
    assert close(got, want)


def test_settings_have_the_defaults_that_are_listed() -> None:
    listed = re.findall(r"^\| `SIGMOID_(\w+)` \| ([^|]+) \|", README, re.MULTILINE)
    assert len(listed) >= 5
    for name, default in listed:
        assert default == shown_default(name.lower())


def test_every_setting_and_metric_is_described() -> None:
    """Each as the program has it, and none that it has not."""
    rows = re.findall(r"^\| `[A-Za-z_]+` \|.*$", OPERATIONS, re.MULTILINE)
    settings = [
        f"| `{PREFIX}{name.upper()}` | {shown_default(name)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    metrics = [
        f"| `{name}` | {family.kind} | "
        f"{', '.join(f'`{label}`' for label in family.labels)} | {family.help} |"
        for name, family in FAMILIES.items()
    ]
    assert rows == [*settings, *metrics]


def test_the_quick_start_has_two_commands() -> None:
    start = README.split("## Predict")[0]
    assert re.findall(r"```sh\n(\S+)", start) == ["scripts/serve", "scripts/test"]


@pytest.mark.parametrize("text", [README, OPERATIONS], ids=["README", "operations"])
def test_what_lies_in_the_checkout_is_where_it_is_said_to_be(text: str) -> None:
    for path in re.findall(r"(?<![\w/])(?:docs|models|scripts|service)/[\w./-]+", text):
        assert (ROOT / path.rstrip(".")).exists(), path


def test_the_names_that_it_imports() -> None:
    lines = re.findall(r"`from (\w+) import ([\w, ]+)`", README)
    assert {module for module, _ in lines} == {"sigmoid_models", "sigmoid_serve"}
    for module, names in lines:
        public = import_module(module).__all__
        assert set(names.split(", ")) <= set(public)


def test_every_script_is_listed() -> None:
    scripts = {
        p.name
        for p in (ROOT / "scripts").iterdir()
        if p.is_file() and "." not in p.name
    }
    assert scripts == set(re.findall(r"`scripts/(\w+)(?: URL)?`", README))
