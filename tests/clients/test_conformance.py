"""Requests of other servers' tests are answered as `scripts/conformance` lists them."""

from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from conforming.case import Case
from conforming.cases import CASES
from conforming.deviations import REASONS
from conforming.sending import try_case
from sigmoid_serve.configuration.settings import Settings
from tests.conftest import serve
from tests.running import until_ready


@pytest.fixture(scope="module")
def server() -> Iterator[httpx.Client]:
    """Calls a server of its own: cases unload a model, and load it again."""
    with serve(Settings()) as client:
        until_ready(client)
        yield client


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.source}, {case.name}")
def test_every_case_is_answered_as_listed(server: httpx.Client, case: Case) -> None:
    outcome = try_case(server, case)
    assert not outcome.fault, outcome.came


def test_every_case_has_a_name_of_its_own() -> None:
    [(_, count)] = Counter((case.source, case.name) for case in CASES).most_common(1)
    assert count == 1


def test_every_reason_is_given_and_known() -> None:
    given = {case.deviation for case in CASES if case.deviation}
    assert given == REASONS.keys()
