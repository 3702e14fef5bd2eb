"""Every link of the documentation leads to a file, and to a heading in it."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
CODE_BLOCK = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"``.*?``|`[^`]*`")
LINK = re.compile(r"\]\(([^()\s]+)\)")
ELSEWHERE = ("http://", "https://", "mailto:")


def links(page: Path) -> list[str]:
    """List the links of a page that lead to files, or headings, of the project."""
    text = CODE.sub("`", CODE_BLOCK.sub("", page.read_text(encoding="utf-8")))
    return [link for link in LINK.findall(text) if not link.startswith(ELSEWHERE)]


def anchors(page: Path) -> set[str]:
    """List the anchors of a page's headings, as sites that show Markdown make them."""
    text = CODE_BLOCK.sub("", page.read_text(encoding="utf-8"))
    headings = [
        re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    ]
    seen: Counter[str] = Counter()
    found = set()
    for heading in headings:
        found.add(f"{heading}-{seen[heading]}" if seen[heading] else heading)
        seen[heading] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    lost = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        is_there = target.is_relative_to(ROOT.resolve()) and target.exists()
        if not is_there or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert not lost


def test_there_are_links() -> None:
    assert sum(len(links(page)) for page in PAGES) > 50
