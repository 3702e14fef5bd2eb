"""The pages of the documentation, and the code blocks in them."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (
        ROOT / "README.md",
        ROOT / "SECURITY.md",
        *sorted(DOCS.glob("*.md")),
    )
}
"""The text of each page, by its path in the checkout."""

_FENCE = re.compile(r"```(\w*)")
_MARKER = re.compile(r"<!-- covered by (.+) -->")
_PRINTED = "text"


@dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
        page: Path of its page in the checkout.
        line: Number of its first line.
        language: As it is written behind the fence.
        text: What it holds.
        covered: Paths of what runs it in place of these tests.
        printed: What it prints, by the block of text directly behind it.
    """

    page: str
    line: int
    language: str
    text: str
    covered: tuple[str, ...]
    printed: str | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> list[Block]:
    """List the blocks of a page; what one prints is a part of it."""
    found: list[Block] = []
    lines = PAGES[page].splitlines()
    number = end = 0
    while number < len(lines):
        fence = _FENCE.fullmatch(lines[number])
        if not fence:
            number += 1
            continue
        first = number + 1
        close = lines.index("```", first)
        text = "".join(f"{line}\n" for line in lines[first:close])
        marker = _MARKER.fullmatch(lines[number - 1])
        files = tuple(marker[1].split(", ")) if marker else ()
        between = "".join(lines[end:number])
        if fence[1] == _PRINTED and found and not between:
            found[-1] = replace(found[-1], printed=text)
        else:
            found.append(Block(page, first + 1, fence[1], text, files))
        number = end = close + 1
    return found
