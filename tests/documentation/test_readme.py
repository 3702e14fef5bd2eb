"""The README is true and short; the settings, metrics and scripts are all listed."""

import re
from pathlib import Path

import pytest

from sigmoid_serve.configuration.environment import PREFIX
from sigmoid_serve.configuration.settings import Settings, shown_default
from sigmoid_serve.monitoring.families import FAMILIES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")


def test_the_figures_were_measured() -> None:
    """Each row of the table is what a row of the page on performance says."""
    rows = re.findall(r"^\|.*\| ([\d,.]+) \| ([\d,.]+) \| ([\d.]+) \|$", README, re.M)
    assert len(rows) == 3
    started = PERFORMANCE.partition("\n### W1 as started, on all cores\n")[2]
    started = started.partition("\n### W3")[0]
    for ours, theirs, quotient in rows:
        assert re.search(rf"^\| \d+ \| ours \| {ours} \|", started, re.M)
        assert re.search(
            rf"^\| \d+ \| tutorial \| {theirs} \|.*\| {quotient} \|$", started, re.M
        )


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


def test_it_has_one_screen_and_two_commands() -> None:
    assert README.count("\n") <= 90
    assert re.findall(r"```sh\n(\S+)", README) == ["scripts/serve", "scripts/test"]


@pytest.mark.parametrize(
    "text",
    [README, OPERATIONS, CONTRIBUTING],
    ids=["README", "operations", "contributing"],
)
def test_what_lies_in_the_checkout_is_where_it_is_said_to_be(text: str) -> None:
    for path in re.findall(r"(?<![\w/])(?:docs|models|scripts|service)/[\w./-]+", text):
        assert (ROOT / path.rstrip(".")).exists(), path


def test_every_script_is_listed() -> None:
    scripts = {
        p.name
        for p in (ROOT / "scripts").iterdir()
        if p.is_file() and "." not in p.name
    }
    rows = re.findall(r"^\| (`scripts/.*?) \|", CONTRIBUTING, re.MULTILINE)
    assert scripts == set(re.findall(r"`scripts/(\w+)(?: URL)?`", " ".join(rows)))
