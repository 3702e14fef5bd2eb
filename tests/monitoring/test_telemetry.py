"""What is counted of each version of a model."""

import time

import pytest
from typing_extensions import Buffer

from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.admission.stages import ENCODE, INFER, PARSE
from sigmoid_serve.monitoring.metrics import merged_cells, new_memory
from sigmoid_serve.monitoring.telemetry import Telemetry

DIGITS = ("digits", "1")
LAST = "sigmoid_model_last_success_timestamp_seconds"


def request(model: str, number: str, route: str = "/predict") -> RequestState:
    """Make a request that took 1 s to parse, 2 s to infer, 4 s to encode: 7.5 s."""
    state = RequestState(AdmissionLimit(1, 1, 1))
    state.route, state.model, state.model_version = route, model, number
    state.since = state.began + 7.5
    for stage, seconds in ((PARSE, 1.0), (INFER, 2.0), (ENCODE, 4.0)):
        state.seconds[stage] = seconds
    return state


def of_models(memory: Buffer) -> dict[tuple[str, ...], float]:
    """Read what is counted of each version, by family and values of labels."""
    return {
        (name.removeprefix("sigmoid_model_"), *values): cells[0]
        for name, series in merged_cells(memory).items()
        for values, cells in series.items()
        if name.startswith("sigmoid_model_") and name != LAST
    }


def test_requests_of_all_processes_and_routes() -> None:
    memory = new_memory(2)
    for slab in (0, 1):
        telemetry = Telemetry(memory, slab)
        count = telemetry.on_batch(*DIGITS)
        for rows in (3, 5):
            count(rows)
        telemetry.record_response(request(*DIGITS), 200, "ok")
        telemetry.record_response(request(*DIGITS, route="/other"), 200, "ok")
        telemetry.record_response(request(*DIGITS), 422, "features")
        telemetry.record_response(request(*DIGITS), 504, "timeout")
        telemetry.record_response(request("digits", ""), 200, "ok")
        telemetry.record_response(request("", ""), 404, "model_not_found")
    assert of_models(memory) == {
        ("batches_total", *DIGITS): 4,
        ("requests_total", *DIGITS, "success"): 4,
        ("requests_total", *DIGITS, "failure"): 4,
        ("request_seconds_total", *DIGITS, "success"): pytest.approx(4 * 7.5),
        ("request_seconds_total", *DIGITS, "failure"): pytest.approx(4 * 7.5),
        ("stage_seconds_total", *DIGITS, "parse"): 4,
        ("stage_seconds_total", *DIGITS, "queue"): 0,
        ("stage_seconds_total", *DIGITS, "infer"): 8,
        ("stage_seconds_total", *DIGITS, "encode"): 16,
    }
    assert merged_cells(memory)["sigmoid_rows_total"] == {DIGITS: [16]}


def test_a_version_without_a_model_is_the_sigmoid() -> None:
    memory = new_memory(1)
    telemetry = Telemetry(memory, 0)
    telemetry.record_response(request("", "1", "/sigmoid"), 200, "ok")
    telemetry.record_response(request("sigmoid", "1", "/other"), 200, "ok")
    found = merged_cells(memory)
    requests = {("sigmoid", "1", "success"): [2.0]}
    assert found["sigmoid_model_requests_total"] == requests
    models = {labels[1] for labels in found["sigmoid_requests_total"]}
    assert models == {"", "sigmoid"}


def test_a_version_that_goes_keeps_its_counts() -> None:
    memory = new_memory(1)
    telemetry = Telemetry(memory, 0)
    telemetry.loaded(*DIGITS, 1.0, None)
    before = time.time()
    telemetry.record_response(request(*DIGITS), 200, "ok")
    ((last,),) = merged_cells(memory)[LAST].values()
    assert before <= last <= time.time()
    telemetry.remove_model(*DIGITS)
    found = merged_cells(memory)
    assert not found[LAST]
    assert not found["sigmoid_model_load_seconds"]
    assert found["sigmoid_model_requests_total"] == {(*DIGITS, "success"): [1.0]}
    telemetry.record_response(request(*DIGITS), 200, "ok")
    assert (
        found["sigmoid_model_requests_total"]
        != merged_cells(memory)["sigmoid_model_requests_total"]
    )


def test_there_is_room_for_many_versions(caplog: pytest.LogCaptureFixture) -> None:
    memory = new_memory(1)
    telemetry = Telemetry(memory, 0)
    for number in range(200):
        place = f"{number:064}", "1"
        telemetry.on_batch(*place)(1)
        telemetry.loaded(*place, 1.0, 0.0)
        for route in ("/models/{name}/predict", "/v2/models/{name}/infer"):
            telemetry.record_response(request(*place, route), 200, "ok")
            telemetry.record_response(request(*place, route), 422, "features")
    assert not caplog.records
    assert len(merged_cells(memory)["sigmoid_model_requests_total"]) == 400
