"""The script that runs the image: that it runs every command that the pages show."""

import shlex
import subprocess

from tests.documentation.pages import PAGES, ROOT, blocks
from tests.documentation.shell import statements

SCRIPT = ROOT / "scripts" / "container"


def test_every_command_of_the_pages_is_run() -> None:
    shown = {
        tuple(shlex.split(command.replace("\\\n", "")))
        for page in PAGES
        for block in blocks(page)
        if "scripts/container" in block.covered
        for command in statements(block.text)
    }
    assert {words[1] for words in shown} == {"build", "run"}
    done = subprocess.run(
        [SCRIPT, "--dry-run"], capture_output=True, text=True, timeout=60, check=True
    )
    run = [tuple(shlex.split(line)) for line in done.stdout.splitlines()]
    assert {words[1:] for words in run if words[0] == "$"} == shown
    assert len(run) == 2 * len(shown)
