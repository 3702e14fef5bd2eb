"""What `scripts/cluster` says of the tests that are otherwise on Ray."""

from pathlib import Path

import pytest

from clustering.cluster import config, running
from clustering.differences import DIFFERENCES, NOT_RUN, Difference, difference
from clustering.load import said
from clustering.through_proxy import finding_of
from faulting.client import Answer

ROOT = Path(__file__).parent.parent.parent
REPORT = """<testsuites><testsuite>
<testcase classname="a" name="passes"/>
<testcase classname="a" name="differs"><skipped type="pytest.xfail"/></testcase>
<testcase classname="a" name="lacks"><skipped type="pytest.skip"/></testcase>
<testcase classname="a" name="fails"><failure/></testcase>
</testsuite></testsuites>"""


@pytest.mark.parametrize("each", DIFFERENCES, ids=lambda each: each.tests)
def test_what_differs_is_there(each: Difference) -> None:
    path, name = each.tests.replace("\\", "").split("::")
    source = (ROOT / path).read_text(encoding="utf-8")
    assert f"def {name.split('[')[0]}(" in source


def test_folders_that_are_not_run_are_there() -> None:
    assert all((ROOT / folder).is_dir() for folder in NOT_RUN)


def test_only_what_differs_is_expected_to_fail() -> None:
    name = "tests/http/test_http.py::test_request_id[/livez-{}-{}]"
    assert difference(name.format("a b", False)) is DIFFERENCES[0]
    assert difference(name.format("a", True)) is None


def test_report_is_read(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    found = finding_of(report)
    assert (found.tally.offered, found.tally.right) == (4, 1)
    assert found.tally.refused == {"differ": 1, "skipped": 1}
    assert found.criteria == [("failed = 0", "1: a::fails", False)]


def test_replicas_are_those_that_answer() -> None:
    told = config(2, {"models": ["m"]}, {"timeout_seconds": 5})
    assert told["runtime_env"] == {"env_vars": {"SIGMOID_TIMEOUT_SECONDS": "5"}}
    replicas = [
        {"replica_id": "a", "pid": 7, "state": "RUNNING"},
        {"replica_id": "b", "state": "STARTING"},
    ]
    deployment = {told["deployments"][0]["name"]: {"replicas": replicas}}
    assert running({"deployments": deployment}) == [("a", 7)]
    assert running({"deployments": {}}) == []


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Answer(503, b"", b'{"code":"not_ready"}'), "503 not_ready"),
        (Answer(500, b"", b"Internal\nServer Error"), "500 Internal Server Error"),
        (Answer(429, b"", b"busy"), "429 without Retry-After"),
        (Answer(429, b"\r\nretry-after: 1", b"busy"), "429 with Retry-After"),
    ],
    ids=["problem", "text", "no header", "header"],
)
def test_refusals_are_told_apart(answer: Answer, text: str) -> None:
    assert said(answer) == text
