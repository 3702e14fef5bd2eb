"""Every command of ours that the documentation shows can be typed."""

import re
import shlex

import pytest
import typer

from sigmoid_serve.cli.commands import COMMANDS
from tests.documentation.pages import PAGES, blocks
from tests.documentation.shell import OURS, commands, parsed
from tests.documentation.test_blocks import SHELLS, typed

INLINE = re.compile(r"`(sigmoid-serve [a-z-][^`]*)`")
SENTENCES = {
    " ".join(words.split()[1:]): shlex.split(words)[1:]
    for text in PAGES.values()
    for words in INLINE.findall(" ".join(text.split()))
}
IN_BLOCKS = {
    " ".join(command.words[1:]): command.words[1:]
    for page in PAGES
    for block in blocks(page)
    if block.language in SHELLS
    for line in typed(block)
    for command in commands(line)
    if command.program == OURS
}
FOUND = {
    shown: words
    for shown, words in (SENTENCES | IN_BLOCKS).items()
    if words[0] in COMMANDS
}


def test_there_are_commands() -> None:
    assert {words[0] for words in FOUND.values()} >= {"serve", "train", "convert"}


@pytest.mark.parametrize("shown", FOUND)
def test_every_command_that_is_shown_can_be_typed(shown: str) -> None:
    told = ""
    try:
        parsed(FOUND[shown])
    except typer.Exit:
        told = "the help"
    except typer.TyperException as error:
        told = error.format_message()
    # A sentence may show an option without what the command needs beside it.
    if shown not in IN_BLOCKS and told.startswith("Missing argument"):
        told = ""
    assert told == ("the help" if {"-h", "--help"} & {*FOUND[shown]} else "")
