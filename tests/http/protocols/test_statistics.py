"""What is counted of each version of a model, as Triton's clients are told of it."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from sigmoid_serve.configuration.settings import Settings
from tests.conftest import serve
from tests.process.test_workers import ask_often
from tests.running import TIMEOUT, counted, serving, until_ready

ROW = {"inputs": [[0.5] * 30] * 3}
STAGES = ("queue", "compute_input", "compute_infer", "compute_output")
NOTHING = {"count": 0, "ns": 0}


@pytest.fixture
def fresh() -> Iterator[httpx.Client]:
    """Calls a server that was not asked yet."""
    with serve(Settings()) as client:
        yield client


def statistics(client: httpx.Client, name: str) -> Any:
    response = client.get(f"/v2/models/{name}/stats")
    assert response.status_code == 200
    (found,) = response.json()["model_stats"]
    return found


def v2_body(*rows: list[float]) -> dict[str, object]:
    shape = [len(rows), len(rows[0])]
    data = [value for row in rows for value in row]
    tensor = {"name": "inputs", "datatype": "FP32", "shape": shape, "data": data}
    return {"inputs": [tensor]}


def test_before_the_first_request(fresh: httpx.Client) -> None:
    stages = dict.fromkeys(("success", "fail", *STAGES), NOTHING)
    expected: list[dict[str, object]] = [
        {
            "name": name,
            "version": "1",
            "last_inference": 0,
            "inference_count": 0,
            "execution_count": 0,
            "inference_stats": {**stages, "cache_hit": NOTHING, "cache_miss": NOTHING},
            "response_stats": {},
            "batch_stats": [],
            "memory_usage": [],
        }
        for name in ("breast-cancer", "digits", "sigmoid")
    ]
    assert fresh.get("/v2/models/stats").json() == {"model_stats": expected}


def test_requests_to_a_model(fresh: httpx.Client) -> None:
    before = 1000 * time.time()
    for path in ("/predict", "/models/breast-cancer/predict") * 2:
        assert fresh.post(path, json=ROW).status_code == 200
    # One that takes the ASGI path, and one whose batch is computed on a thread.
    assert fresh.post("/predict?output=logits", json=ROW).status_code == 200
    many = {"inputs": [[0.5] * 30] * 9000}
    assert fresh.post("/predict", json=many).status_code == 200
    found = statistics(fresh, "breast-cancer")
    assert found["inference_count"] == 5 * 3 + 9000
    assert found["execution_count"] >= 6
    assert before - 1 <= found["last_inference"] <= 1000 * time.time()
    stages = found["inference_stats"]
    assert stages["success"]["count"] == 6
    assert stages["fail"] == NOTHING
    for stage in STAGES:
        assert stages[stage]["count"] == 6
        assert stages[stage]["ns"] > 0
    assert sum(stages[stage]["ns"] for stage in STAGES) < stages["success"]["ns"]
    for name in ("digits", "sigmoid"):
        assert statistics(fresh, name)["inference_stats"]["success"] == NOTHING


def test_all_ways_to_name_a_version(fresh: httpx.Client) -> None:
    assert fresh.post("/predict", json=ROW).status_code == 200
    one = statistics(fresh, "breast-cancer")
    assert statistics(fresh, "breast-cancer/versions/1") == one
    assert one in fresh.get("/v2/models/stats").json()["model_stats"]


def test_failed_requests(fresh: httpx.Client) -> None:
    digits = "/models/digits/versions/1/predict"
    for path, body, status in (
        (digits, b'{"inputs":[1,2]}', 422),
        (digits, b"{", 400),
        (digits, b"1" * 10**6, 400),
        ("/sigmoid", b'{"inputs":[true]}', 422),
        ("/sigmoid", b"", 400),
        ("/models/digits/versions/2/predict", b"{}", 404),
        ("/models/none/predict", b"{}", 404),
    ):
        assert fresh.post(path, content=body).status_code == status
    unread = fresh.post(digits, content=b"1", headers={"content-type": "text/plain"})
    assert unread.status_code == 415
    for name, count in (("digits", 4), ("sigmoid", 2), ("breast-cancer", 0)):
        found = statistics(fresh, name)
        stages = found["inference_stats"]
        assert stages["fail"]["count"] == count
        assert (stages["fail"]["ns"] > 0) == (count > 0)
        assert {each: stages[each] for each in ("success", *STAGES)} == dict.fromkeys(
            ("success", *STAGES), NOTHING
        )
        assert found["inference_count"] == found["last_inference"] == 0


def test_the_sigmoid(fresh: httpx.Client) -> None:
    bodies = ({"inputs": 1}, {"inputs": [[1], [2]]}, {"batch": [[], 1, [1]]})
    for body in (*bodies, {"inputs": [0.25] * 50_000}):
        assert fresh.post("/sigmoid", json=body).status_code == 200
    found = statistics(fresh, "sigmoid")
    stages = found["inference_stats"]
    assert found["inference_count"] == found["execution_count"] == 4
    assert found["last_inference"] > 0
    for stage in ("success", *STAGES):
        assert stages[stage]["count"] == 4
    for stage in ("compute_input", "compute_infer", "compute_output"):
        assert 0 < stages[stage]["ns"] < stages["success"]["ns"]
    # For the other metrics it is no model.
    asked = counted(fresh, "sigmoid_requests_total", route="/sigmoid", model="")
    assert asked == 4
    assert counted(fresh, "sigmoid_requests_total", model="sigmoid") == 0
    assert counted(fresh, "sigmoid_rows_total", model="sigmoid") == 0


@pytest.mark.parametrize("name", ["breast-cancer", "sigmoid"])
def test_the_native_api_and_this_one_count_alike(
    fresh: httpx.Client, name: str
) -> None:
    native = "/sigmoid" if name == "sigmoid" else f"/models/{name}/predict"
    for _ in range(3):
        assert fresh.post(native, json=ROW).status_code == 200
    assert fresh.post(native, json={"inputs": [None]}).status_code == 422
    before = statistics(fresh, name)
    infer = f"/v2/models/{name}/infer"
    for _ in range(3):
        response = fresh.post(infer, json=v2_body(*[[0.5] * 30] * 3))
        assert response.status_code == 200, response.text
    assert fresh.post(infer, json={"inputs": [None]}).status_code == 400
    after = statistics(fresh, name)
    for count in ("inference_count", "execution_count"):
        assert after[count] == 2 * before[count] > 0
    for stage in ("success", "fail", *STAGES):
        counts = [each["inference_stats"][stage]["count"] for each in (before, after)]
        assert counts == ([1, 2] if stage == "fail" else [3, 6])


def test_several_workers(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        serving(log, SIGMOID_WORKERS="2") as (_, address),
        httpx.Client(base_url=address, timeout=TIMEOUT) as client,
    ):
        until_ready(client)
        end = time.monotonic() + TIMEOUT
        answered: set[str] = set()
        asked = 0
        seen = [statistics(client, "breast-cancer")]
        while len(answered) < 2:
            assert time.monotonic() < end, "one worker answers everything"
            answered |= ask_often(client.base_url, 5)
            asked += 5
            seen.append(statistics(client, "breast-cancer"))
        # Whoever answers, it has the same numbers.
        for _ in range(4):
            with httpx.Client(base_url=address, timeout=TIMEOUT) as another:
                assert statistics(another, "breast-cancer") == seen[-1]
    assert seen[-1]["inference_count"] == 3 * asked
    assert seen[-1]["execution_count"] == asked
    assert seen[-1]["inference_stats"]["success"]["count"] == asked
    numbers = [list(_numbers(each)) for each in seen]
    for before, after in pairwise(numbers):
        assert all(old <= new for old, new in zip(before, after, strict=True))


def _numbers(found: Any) -> Iterator[int]:
    """List all numbers of an answer, in its order."""
    if isinstance(found, dict):
        for value in found.values():
            yield from _numbers(value)
    elif isinstance(found, int):
        yield found
