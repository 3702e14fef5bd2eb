"""The README is true: its requests are answered as printed, its settings are all."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.settings import PREFIX, Settings
from tests.test_openapi import close

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
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


def test_every_setting_is_listed() -> None:
    listed = re.findall(
        r"^\| `(SIGMOID_\w+)` \| `?([^`|]+?)`? \|", README, re.MULTILINE
    )
    names = [f"{PREFIX}{name}".upper() for name in Settings.model_fields]
    assert [name for name, _ in listed] == names
    for (_, default), field in zip(listed, Settings.model_fields.values(), strict=True):
        assert default == (
            str(field.default) if field.default else "the pretrained models"
        )


def test_the_quick_start_has_two_commands() -> None:
    start = README.split("## Predict")[0]
    assert re.findall(r"```sh\n(\S+)", start) == ["scripts/serve", "scripts/test"]


def test_every_script_is_listed() -> None:
    scripts = {
        p.name
        for p in (ROOT / "scripts").iterdir()
        if p.is_file() and "." not in p.name
    }
    assert scripts == set(re.findall(r"`scripts/(\w+)(?: URL)?`", README))
