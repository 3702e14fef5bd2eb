"""Every command that the documentation shows is one, and starts where it can be run."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from sigmoid_serve.cli.commands import COMMANDS, app
from tests.running import serving

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
)
BLOCK = re.compile(r"```(?:sh|console|bash)\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`(sigmoid-serve [a-z-][^`]*)`")
ENDS = {"|", "||", "&&", ";", ">", "2>", "&"}


def commands(text: str) -> Iterator[list[str]]:
    """Find the words of each `sigmoid-serve` that is shown, after its own."""
    lines = [line for block in BLOCK.findall(text) for line in joined(block)]
    for line in [*lines, *INLINE.findall(" ".join(text.split()))]:
        words = shlex.split(line, comments=True)
        for position, word in enumerate(words):
            if word.rpartition("/")[2] != "sigmoid-serve":
                continue
            after = words[position + 1 :]
            end = next((n for n, each in enumerate(after) if each in ENDS), len(after))
            yield after[:end]


def joined(block: str) -> list[str]:
    lines = block.replace("\\\n", " ").splitlines()
    return [line for line in lines if "sigmoid-serve " in line]


FOUND = {
    " ".join(words): words
    for page in PAGES
    for words in commands(page.read_text(encoding="utf-8"))
    if words and words[0] in COMMANDS
}


SENTENCES = {
    " ".join(words.split()[1:])
    for page in PAGES
    for words in INLINE.findall(" ".join(page.read_text(encoding="utf-8").split()))
}


def test_there_are_commands() -> None:
    assert {words[0] for words in FOUND.values()} >= {"serve", "train", "convert"}


@pytest.mark.parametrize("shown", FOUND)
def test_every_command_that_is_shown_can_be_typed(shown: str) -> None:
    name, *words = FOUND[shown]
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    with group.make_context("sigmoid-serve", [name, *words]) as context:
        command = group.get_command(context, name)
        assert command
        told = ""
        try:
            command.make_context(name, [*words], parent=context)
        except typer.Exit:
            told = "the help"
        except typer.TyperException as error:
            told = error.format_message()
    # A sentence may show an option without what the command needs beside it.
    if shown in SENTENCES and told.startswith("Missing argument"):
        told = ""
    assert told == ("the help" if {"-h", "--help"} & {*words} else "")


@pytest.mark.parametrize(
    ("checkpoints", "variables"),
    [
        (("models/",), {}),
        (("models/sigmoid_models/pretrained",), {}),
        ((), {"SIGMOID_MODELS": f"{ROOT}/models"}),
    ],
)
def test_what_can_be_served_from_a_clone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    checkpoints: tuple[str, ...],
    variables: dict[str, str],
) -> None:
    monkeypatch.chdir(ROOT)
    log = tmp_path / "log"
    with serving(log, *map(Path, checkpoints), **variables):
        told = log.read_text()
        assert "model breast-cancer version 1" in told
        assert "model digits version 1" in told
