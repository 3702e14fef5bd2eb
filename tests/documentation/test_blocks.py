"""Every code block of the documentation runs, and prints what is shown."""

import re
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.documentation.files import FILES
from tests.documentation.pages import PAGES, ROOT, Block, blocks
from tests.documentation.reader import Reader
from tests.documentation.shell import OURS, commands, examples, statements

BLOCKS = {page: blocks(page) for page in PAGES}
COVERED = [block for found in BLOCKS.values() for block in found if block.covered]
SHELLS = {"sh", "console"}


@pytest.mark.parametrize("page", [page for page in PAGES if BLOCKS[page]])
def test_every_block_runs(
    page: str, shipped: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for write in FILES.get(page, ()):
        write(tmp_path)
    with ExitStack() as stack:
        reader = Reader(tmp_path, shipped, stack)
        for block in BLOCKS[page]:
            if not block.covered:
                reader.read(block)


def typed(block: Block) -> list[str]:
    """List the lines that are typed into a shell."""
    if block.language == "console":
        return [command for command, _ in examples(block.text)]
    return [*statements(block.text)]


def used(block: Block) -> list[str]:
    """List its programs and commands of ours, and their long options."""
    found = []
    for command in (each for line in typed(block) for each in commands(line)):
        ours = command.program == OURS
        found.append(command.words[1] if ours else command.program)
        found += [w.partition("=")[0] for w in command.words if w.startswith("--")]
    return found


@pytest.mark.parametrize("block", COVERED, ids=str)
def test_what_is_said_to_be_covered_is(block: Block) -> None:
    """The files named read its page, or have its programs and options, or its calls."""
    texts = [(ROOT / path).read_text(encoding="utf-8") for path in block.covered]
    if any(Path(block.page).name in text for text in texts):
        return
    shell = block.language in SHELLS
    words = used(block) if shell else re.findall(r"(\w+)\(", block.text)
    text = "\n".join([*block.covered, *texts])
    assert words
    assert [word for word in words if word not in text] == []
