"""What is typed into a shell: where a command ends, and what its words are."""

import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer.main
from typer.core import TyperGroup

from sigmoid_serve.cli.commands import app

OURS = "sigmoid-serve"
_PUNCTUATION = set("|&;<>()")
_REDIRECTIONS = {"<", ">", ">>"}
# What a shell makes something else of, outside of the words that it takes as they are.
_EXPANDED = re.compile(r"[$`*~]")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A command without pipes, expansions and the like.

    Attributes:
        variables: What is set for it alone, in front of it.
        words: The program, and its arguments.
    """

    variables: dict[str, str]
    words: Sequence[str]

    @property
    def program(self) -> str:
        """The name of the program, without its folder."""
        return Path(self.words[0]).name


def statements(text: str) -> Iterator[str]:
    """Split a script where a line ends a command; comments and blank lines are none."""
    held = ""
    for line in text.splitlines(keepends=True):
        held += line
        if not _is_open(held):
            if _words(held):
                yield held
            held = ""
    assert not held, f"bash waits for the end of {held!r}"


def examples(text: str) -> Iterator[tuple[str, str]]:
    """Split what a console shows into commands, each with what it prints."""
    lines = text.splitlines(keepends=True)
    while lines:
        assert lines[0].startswith("$ "), f"expected `$ `, got {lines[0]!r}"
        command = lines.pop(0).removeprefix("$ ")
        while _is_open(command):
            command += lines.pop(0)
        count = next((n for n, s in enumerate(lines) if s.startswith("$ ")), len(lines))
        yield command, "".join(lines[:count])
        lines = lines[count:]


def _is_open(text: str) -> bool:
    """Ask bash whether a command goes on in the next line."""
    if text.endswith("\\\n"):
        return True
    done = subprocess.run(
        ["bash", "-n"], input=text, capture_output=True, text=True, check=False
    )
    return done.returncode != 0 or "here-document" in done.stderr


def _words(statement: str) -> list[str]:
    joined = statement.replace("\\\n", " ")
    lexer = shlex.shlex(joined, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)


def simple(statement: str) -> Command | None:
    """Read a command that takes no shell to run; else there is None."""
    words = _words(statement)
    if _EXPANDED.search(statement) or any(set(w) <= _PUNCTUATION for w in words if w):
        return None
    command = _command(words)
    return command if command.words else None


def commands(statement: str) -> Iterator[Command]:
    """Find the commands of a pipe, a list and the like."""
    words: list[str] = []
    typed = iter([*_words(statement), ";"])
    for word in typed:
        if word in _REDIRECTIONS:
            next(typed)
        elif not set(word) <= _PUNCTUATION:
            words.append(word)
        else:
            command = _command(words)
            if command.words:
                yield command
            words = []


def _command(words: list[str]) -> Command:
    variables = {}
    while words and (match := _ASSIGNMENT.fullmatch(words[0])):
        variables[match[1]] = match[2]
        words = words[1:]
    return Command(variables, words)


def parsed(arguments: Sequence[str]) -> dict[str, Any]:
    """Read the arguments of `sigmoid-serve` as it does, without running anything.

    Raises:
        typer.Exit: They ask for the help.
        typer.TyperException: They cannot be meant.
    """
    name, *words = arguments
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    with group.make_context(OURS, [name, *words]) as context:
        command = group.get_command(context, name)
        assert command, name
        return dict(command.make_context(name, words, parent=context).params)
