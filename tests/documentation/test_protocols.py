"""docs/protocols.md is true: its reasons are those of the tests of conformance."""

import re

from conforming.deviations import REASONS
from tests.documentation.pages import PAGES


def test_every_reason_is_listed() -> None:
    text = PAGES["docs/protocols.md"]
    listed = re.findall(r"^- (.+)$", text.rpartition("reasons:\n")[2], re.MULTILINE)
    assert listed == [*REASONS.values()]
