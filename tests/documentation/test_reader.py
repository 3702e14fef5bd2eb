"""The reader of the pages can say no."""

from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.documentation.agreement import agrees
from tests.documentation.pages import Block
from tests.documentation.reader import Reader
from tests.documentation.shell import commands, examples, simple, statements


@pytest.mark.parametrize(
    ("came", "shown", "agree"),
    [
        ('{"a": [0.1000001]}', '{"a":[0.1]}', True),
        ('{"a": [0.1001]}', '{"a":[0.1]}', False),
        ('{"a": 1, "b": 2}', '{"a":1}', False),
        ('{"a":1,"b":2}', '{"a":1,…}', True),
        ('{"status": 422, "title": "x"}', '{"status":422,"title":"y"}', True),
        ("accuracy  0.96667\nof 30 rows", "accuracy 0.96667 of …", True),
        ("accuracy  0.96667\nof 30 rows", "accuracy 0.97667 of …", False),
        ("version 1.2.3", "version 1.2.4", False),
        ("a\nb", "a", False),
    ],
)
def test_what_agrees(came: str, shown: str, agree: bool) -> None:
    assert agrees(came, shown) == agree


def test_where_commands_end() -> None:
    text = "# first\na \\\n  -b 'c\nd'\n\ncat <<E\nf\nE\ng | h > i && j\n"
    assert [*statements(text)] == [
        "a \\\n  -b 'c\nd'\n",
        "cat <<E\nf\nE\n",
        "g | h > i && j\n",
    ]
    assert [each.words for each in commands("g | h > i && A=1 j\n")] == [
        ["g"],
        ["h"],
        ["j"],
    ]
    shown = [*examples("$ a 'b\nc'\nd\ne\n$ f\n")]
    assert shown == [("a 'b\nc'\n", "d\ne\n"), ("f\n", "")]
    assert simple("A=1 b 'c d'  # e\n") is not None
    assert all(simple(each) is None for each in ("a | b\n", "a $B\n", "A=1\n"))


@pytest.mark.parametrize(
    ("language", "text", "printed"),
    [
        ("sh", "false\n", None),
        ("sh", "scripts/test\n", None),
        ("sh", "sigmoid-serve inspect none.pt\n", None),
        ("sh", "sigmoid-serve --version | tr -d .\n", "0.1.0"),
        ("console", "$ sigmoid-serve --version\n1.2.3\n", None),
        ("python", "print(1)\n", "2\n"),
        ("json", "{a: 1}\n", None),
        ("text", "nothing before it\n", None),
        ("nginx", "location / {}\n", None),
    ],
    ids=lambda value: str(value).strip(),
)
def test_what_fails(
    language: str,
    text: str,
    printed: str | None,
    shipped: httpx.Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        reader = Reader(tmp_path, shipped, stack)
        with pytest.raises((AssertionError, ValueError)):
            reader.read(Block("page.md", 1, language, text, (), printed))
