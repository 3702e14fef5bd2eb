"""docs/protocols.md is true: its examples, its lists and its reasons."""

import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from conforming.deviations import REASONS
from tests.http.test_openapi import close

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "protocols.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```console\n\$ (curl .*?)\n(\{\S.*?)\n```", TEXT, re.DOTALL)


def address(client: httpx.Client) -> str:
    return f"{client.base_url.host}:{client.base_url.port}"


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == TEXT.count("```console") >= 3


@pytest.mark.parametrize(
    ("command", "printed"), EXAMPLES, ids=["sigmoid", "model", "error"]
)
def test_every_request_is_answered_as_printed(
    client: httpx.Client, command: str, printed: str
) -> None:
    assert "localhost:8080" in command
    result = subprocess.run(
        ["bash", "-c", command.replace("localhost:8080", address(client))],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert close(json.loads(result.stdout), json.loads(printed))


def test_the_program_runs(
    client: httpx.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tritonclient.http")
    [code] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(code.replace("localhost:8080", address(client)), {})
    printed = capsys.readouterr().out
    assert "malignant" in printed or "benign" in printed


def test_every_reason_is_listed() -> None:
    listed = re.findall(r"^- (.+)$", TEXT.rpartition("reasons:\n")[2], re.MULTILINE)
    assert listed == [*REASONS.values()]


def test_paths_are_served(client: httpx.Client) -> None:
    table = TEXT.partition("\n## Paths\n")[2].partition("\n## ")[0]
    paths = set(re.findall(r"`(?:GET|POST) (\S+)`", table))
    served = client.get("/openapi.json").json()["paths"]
    for path in paths:
        whole = path.replace("…", "/v2/models/{name}").replace("NAME", "{name}")
        assert whole in served, path


def test_links_within() -> None:
    for page, anchor in re.findall(r"\]\((\w+\.md)#([\w-]+)\)", TEXT):
        text = (DOCS / page).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        anchors = {
            re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings
        }
        assert anchor in anchors, anchor
