"""Very many damaged bodies and files; and those who judge them can say no."""

import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep
from typing import NamedTuple

import httpx
import numpy as np
import pytest

from fuzzing import report
from fuzzing.api import found_nothing, running_server
from fuzzing.application import MAX_BODY_BYTES, Answer
from fuzzing.bodies import fuzz_bodies
from fuzzing.campaign import Findings, Hang, Outcome, deadline, run_campaign
from fuzzing.checkpoints import fuzz_checkpoints, refusal_fault
from fuzzing.files.drawing import draw_file, make_sources
from fuzzing.json_bodies import Model
from fuzzing.judge import PROBLEM, answer_fault
from fuzzing.memory import MAX_GROWTH, MIB, Sample, level
from fuzzing.oracle import disagreement
from fuzzing.requests import GOOD, Request, draw_request

pytestmark = pytest.mark.usefixtures("uncounted")

SCRIPT = Path(__file__).parents[2] / "scripts" / "fuzz"
MODELS = [
    Model("/predict", 2, ["a", "b"]),
    Model("/models/digits/predict", 3, None),
]
ASKED = Request(
    kind="tensor, damaged",
    path="/sigmoid",
    query=b"",
    headers=(),
    body=b'{"inputs": [0, 1]}',
    reads="json",
    answer="json",
    is_good=False,
)
RIGHT = {"outputs": [0.5, 0.7310586], "shape": [2], "dtype": "float32"}


class Tried(NamedTuple):
    kind: str = "a kind"
    content: bytes = b"the content"

    def shown(self) -> str:
        return "an input"


def success(document: object) -> Answer:
    return Answer(200, "application/json", json.dumps(document).encode())


def refusal(status: int = 422, **members: object) -> Answer:
    problem = {"status": status, "code": "ragged", "detail": "expected", **members}
    return Answer(status, PROBLEM, json.dumps(problem).encode())


def assert_clean(findings: Findings, count: int) -> None:
    assert list(report.faults(findings)) == []
    tried = sum(kind.codes.total() for kind in findings.counts.values())
    accepted = sum(kind.codes["accepted"] for kind in findings.counts.values())
    assert tried == count
    assert 0 < accepted < tried


def test_bodies() -> None:
    findings = fuzz_bodies(1, range(4000))
    assert_clean(findings, 4000)
    assert len(findings.counts) == 2 * len(GOOD)


def test_checkpoints() -> None:
    assert_clean(fuzz_checkpoints(1, range(1000)), 1000)


def test_what_is_drawn_is_the_same_for_the_same_seed() -> None:
    sources = make_sources()
    for index in range(100):
        request = draw_request(1, index, MODELS)
        assert request == draw_request(1, index, MODELS)
        one, two = draw_file(1, index, sources), draw_file(1, index, sources)
        # In PyTorch's old layout stand the addresses of the tensors.
        if one.content[:2] != b"\x80\x02":
            assert one == two
        assert one.kind == two.kind
    others = [draw_request(2, index, MODELS).body for index in range(100)]
    assert others != [draw_request(1, index, MODELS).body for index in range(100)]


def test_bodies_are_of_many_sizes() -> None:
    drawn = [draw_request(1, index, MODELS) for index in range(4000)]
    sizes = [len(one.body) for one in drawn]
    assert min(sizes) == 0
    assert max(sizes) > 2**18
    assert sum(size > 2**18 for size in sizes) < 40
    assert all(len(one.body) <= MAX_BODY_BYTES for one in drawn if one.is_good)


def test_right_answers() -> None:
    for answer in (success(RIGHT), refusal(400)):
        assert answer_fault(ASKED, answer) is None
    assert disagreement(ASKED, success(RIGHT), MODELS) is None


LONG = "".join(f"{number} " for number in range(200))


@pytest.mark.parametrize(
    "answer",
    [
        success({**RIGHT, "shape": [1, 2]}),
        success({**RIGHT, "shape": [0]}),
        success({**RIGHT, "outputs": [0.5, 1.5]}),
        success({**RIGHT, "outputs": [0.5, -0.5]}),
        success({**RIGHT, "outputs": [0.5, float("nan")]}),
        success({**RIGHT, "outputs": [[0.5], [1, 1]]}),
        success({"outputs": [0.5, 0.7]}),
        success([]),
        Answer(200, "application/json", b"{"),
        Answer(200, "text/plain", success(RIGHT).body),
        refusal(500),
        refusal(503),
        refusal(302),
        Answer(422, PROBLEM, refusal(400).body),
        refusal(detail="x" * 5000),
        refusal(detail=f"expected a number, got {LONG}"),
        Answer(422, "application/json", refusal().body),
        Answer(422, PROBLEM, b"Unprocessable"),
        Answer(422, PROBLEM, b"[]"),
    ],
)
def test_wrong_answers(answer: Answer) -> None:
    body = json.dumps({"inputs": [LONG]}).encode()
    assert answer_fault(ASKED._replace(body=body), answer)


def test_a_good_body_must_be_accepted() -> None:
    assert answer_fault(ASKED._replace(is_good=True), refusal())


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"inputs": [0, 1]}', refusal()),
        (b'{"inputs": [0, 1]}', success({**RIGHT, "outputs": [0.5, 0.7310584]})),
        (b'{"inputs": [0, 1]}', success({**RIGHT, "outputs": [0.5]})),
        (b'{"inputs": [0, true]}', success(RIGHT)),
        (b'{"inputs": [0, NaN]}', success(RIGHT)),
        (b'{"inputs": [0, 1e39]}', success(RIGHT)),
        (b'{"inputs": [0, [1]]}', success(RIGHT)),
        (b'{"inputs": [0, 1], "inputs": [0, 1]}', success(RIGHT)),
        (b'{"inputs": [0, 1], "x": 1}', success(RIGHT)),
        (b'{"inputs": [0, 1], "dtype": "int8"}', success(RIGHT)),
        (b'\xef\xbb\xbf{"inputs": [0, 1]}', success(RIGHT)),
        (b'{"batch": 1}', success(RIGHT)),
        (b'{"inputs": ' + b"[" * 33 + b"]" * 33 + b"}", success(RIGHT)),
    ],
)
def test_the_oracle_disagrees(body: bytes, answer: Answer) -> None:
    assert disagreement(ASKED._replace(body=body), answer, MODELS)


@pytest.mark.parametrize(
    ("value", "is_right"),
    [
        ([1, 2], True),
        ({"b": 1, "a": 2}, True),
        ([{"b": 1, "a": 2}], True),
        ([[[1, 2]]], True),
        ([1], False),
        (1, False),
        ({"a": 1}, False),
        ([{"b": 1, "a": 2}, [1, 2]], False),
    ],
)
def test_the_oracle_of_rows(value: object, is_right: bool) -> None:
    body = json.dumps({"inputs": value}).encode()
    asked = ASKED._replace(path="/predict", body=body)
    assert disagreement(asked, success({}) if is_right else refusal(), MODELS) is None
    assert disagreement(asked, refusal() if is_right else success({}), MODELS)


def test_the_oracle_of_arrays() -> None:
    file = io.BytesIO()
    np.save(file, np.array([0, 1], np.float32))
    asked = ASKED._replace(body=file.getvalue(), reads="npy")
    assert disagreement(asked, success(RIGHT), MODELS) is None
    assert disagreement(asked, success({**RIGHT, "outputs": [0.5, 0.7]}), MODELS)
    assert disagreement(asked._replace(body=b"\x93NUMPY"), success(RIGHT), MODELS)


@pytest.mark.parametrize("message", ["", "two\nlines", "\x1b[31m", "x" * 20_000])
def test_wrong_refusals_of_files(message: str) -> None:
    assert refusal_fault(message, is_good=False)
    assert refusal_fault("model.pt: broken; mend it", is_good=False) is None


def test_what_an_attempt_raises_is_a_fault() -> None:
    def attempt(tried: Tried) -> Outcome:
        raise ZeroDivisionError

    findings = run_campaign(range(3, 30), lambda index: Tried(), attempt)
    assert findings.faulty == 27
    *lines, rest = report.faults(findings)
    assert rest == f"and {27 - len(lines)} more"
    assert lines[0].startswith("3 (a kind): it raised ZeroDivisionError()")
    for line in lines:
        kept = Path(line.rpartition(" ")[2])
        assert kept.read_bytes() == b"the content"
        kept.unlink()


def test_a_hang_is_cut_short() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(Hang), deadline(0.01):
        sleep(60)
    assert signal.getsignal(signal.SIGALRM) == before


def test_memory_that_grows_is_a_fault() -> None:
    for growth, is_fault in ((MAX_GROWTH, False), (MAX_GROWTH + MIB, True)):
        samples = [
            Sample(done, growth * max(0, done - 10) // 90) for done in range(101)
        ]
        assert bool(level(samples).fault) == is_fault
        findings = Findings(samples=samples)
        assert len(list(report.faults(findings))) == is_fault
    assert level(samples).slope == pytest.approx((MAX_GROWTH + MIB) / 90, rel=1e-3)


def test_a_server_that_is_there(tmp_path: Path) -> None:
    with running_server(tmp_path) as url:
        assert httpx.get(f"{url}/livez").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/livez")


def test_no_server_is_a_finding(tmp_path: Path) -> None:
    assert not found_nothing("http://127.0.0.1:1/openapi.json", 1, 1, tmp_path)


def test_the_command() -> None:
    outcome = subprocess.run(
        [sys.executable, SCRIPT, "checkpoints", "--count", "100", "--seed", "1"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert outcome.stderr == ""
    assert outcome.stdout.startswith("seed 1\n")
    assert "Memory: " in outcome.stdout
