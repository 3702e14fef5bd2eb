"""Metrics: exact over processes, threads, deaths and full slabs."""

import logging
import multiprocessing
import re
import struct
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from math import inf, nan
from multiprocessing.synchronize import Event
from types import FrameType
from typing import TypeAlias

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typing_extensions import Buffer

from sigmoid_serve.monitoring.families import FAMILIES
from sigmoid_serve.monitoring.metrics import (
    CONTENT_TYPE,
    SLAB_BYTES,
    Metrics,
    exposition,
    new_memory,
)

SPAWN = multiprocessing.get_context("spawn")
PATIENCE = 60
ROWS = FAMILIES["sigmoid_batch_rows"].bounds
SECONDS = FAMILIES["sigmoid_request_stage_duration_seconds"].bounds

TraceFunction: TypeAlias = "Callable[[FrameType, str, object], TraceFunction]"
Sample: TypeAlias = tuple[str, frozenset[tuple[str, str]]]


def sample(name: str, **labels: str) -> Sample:
    return name, frozenset(labels.items())


def read(memory: Buffer) -> dict[Sample, float]:
    """Parse the exposition."""
    samples: dict[Sample, float] = {}
    for family in text_string_to_metric_families(exposition(memory).decode()):
        for one in family.samples:
            key = sample(one.name, **one.labels)
            assert key not in samples
            samples[key] = one.value
    return samples


def histogram(name: str, values: list[float], **labels: str) -> dict[Sample, float]:
    """Say what the samples of a histogram are to be, straight from its values."""
    bounds = (*FAMILIES[name].bounds, inf)
    counts = {
        sample(f"{name}_bucket", le="+Inf" if bound == inf else str(bound), **labels): (
            float(sum(value <= bound for value in values))
        )
        for bound in bounds
    }
    return {
        **counts,
        sample(f"{name}_count", **labels): float(len(values)),
        sample(f"{name}_sum", **labels): sum(values),
    }


def count_a_lot(memory: Buffer, slab: int) -> None:
    metrics = Metrics(memory, slab)
    rows = metrics.counter("sigmoid_rows_total", "digits", "1")
    batches = metrics.histogram("sigmoid_batch_rows")
    for turn in range(20_000):
        rows.add(turn % 7)
        batches.observe(turn % 5000)
    metrics.counter("sigmoid_requests_rejected_total", f"code {slab}").add(slab)
    metrics.gauge("sigmoid_workers").set(1)


def count_forever(memory: Buffer, slab: int) -> None:
    metrics = Metrics(memory, slab)
    metrics.gauge("sigmoid_inflight_elements").set(7)
    counter = metrics.counter("sigmoid_worker_restarts_total")
    while True:
        counter.add()


def add_series(memory: Buffer, slabs: int, series: int, turn: Event) -> None:
    for slab in range(slabs):
        metrics = Metrics(memory, slab)
        for number in range(series):
            if number % 50 == 0:
                assert turn.wait(PATIENCE)
                turn.clear()
            value = slab * series + number + 1
            model = str(value)
            metrics.counter("sigmoid_requests_rejected_total", model).add(value)
            metrics.gauge("sigmoid_model_golden_error", model, "1").set(value)


def test_table() -> None:
    assert len(FAMILIES) == 31
    for name, family in FAMILIES.items():
        assert name == family.name
        assert re.fullmatch(r"(sigmoid|process)_[a-z]+(_[a-z]+)*", name)
        assert name.endswith("_total") == (family.kind == "counter")
        assert family.help.endswith(".")
        assert len(set(family.labels)) == len(family.labels)
        assert "le" not in family.labels
        assert bool(family.bounds) == (family.kind == "histogram")
        assert all(low < high for low, high in pairwise(family.bounds))
        assert family.merge == "sum" or family.kind == "gauge"
    assert (SECONDS[0], SECONDS[-1]) == (1e-5, 30)
    assert tuple(2**power for power in range(13)) == ROWS
    assert SLAB_BYTES % 8 == 0


def test_families_without_samples() -> None:
    text = exposition(new_memory(2)).decode()
    expected = [
        line
        for family in FAMILIES.values()
        for line in (
            f"# HELP {family.name} {family.help}",
            f"# TYPE {family.name} {family.kind}",
        )
    ]
    assert text.splitlines() == expected
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4;")


def test_every_number() -> None:
    memory = bytearray(3 * SLAB_BYTES)
    first, second = Metrics(memory, 0), Metrics(memory, 2)
    answer = ("/predict", "digits", "200", "ok")
    first.counter("sigmoid_requests_total", *answer).add()
    second.counter("sigmoid_requests_total", *answer).add(2)
    second.counter("sigmoid_requests_total", "/predict", "", "404", "x").add(4.5)
    first.counter("sigmoid_worker_restarts_total")
    for metrics, value in ((first, 3.0), (second, 5.0)):
        metrics.gauge("sigmoid_inflight_elements").set(value)
        metrics.gauge("sigmoid_model_load_seconds", "digits", "1").set(-value)
        metrics.gauge("sigmoid_ready").set(value)
    second.gauge("sigmoid_build_info", "0.1.0").set(True)
    parse = [0.0, 1e-5, 1.1e-5, 0.3, 30.0, 31.0, *SECONDS]
    for value in parse:
        first.histogram("sigmoid_request_stage_duration_seconds", "parse").observe(
            value
        )
    first.histogram("sigmoid_batch_rows").observe(1)
    second.histogram("sigmoid_batch_rows").observe(4097)
    samples = read(memory)
    total = sample("sigmoid_request_stage_duration_seconds_sum", stage="parse")
    assert samples.pop(total) == pytest.approx(sum(parse), rel=1e-15)
    seconds = histogram("sigmoid_request_stage_duration_seconds", parse, stage="parse")
    del seconds[total]
    requests = "sigmoid_requests_total"
    assert samples == {
        sample(requests, route="/predict", model="digits", code="200", reason="ok"): 3,
        sample(requests, route="/predict", model="", code="404", reason="x"): 4.5,
        sample("sigmoid_worker_restarts_total"): 0,
        sample("sigmoid_inflight_elements"): 8,
        sample("sigmoid_model_load_seconds", model="digits", version="1"): -3,
        sample("sigmoid_ready"): 3,
        sample("sigmoid_build_info", version="0.1.0"): 1,
        **seconds,
        **histogram("sigmoid_batch_rows", [1, 4097]),
    }
    assert "_created" not in exposition(memory).decode()


def test_several_processes() -> None:
    memory = SPAWN.RawArray("B", 3 * SLAB_BYTES)
    writers = [SPAWN.Process(target=count_a_lot, args=(memory, n)) for n in (0, 2)]
    for writer in writers:
        writer.start()
    count_a_lot(memory, 1)
    for writer in writers:
        writer.join(PATIENCE)
        assert writer.exitcode == 0
    rows = 3 * sum(turn % 7 for turn in range(20_000))
    batches = [float(turn % 5000) for turn in range(20_000)] * 3
    assert read(memory) == {
        sample("sigmoid_rows_total", model="digits", version="1"): rows,
        **{
            sample("sigmoid_requests_rejected_total", reason=f"code {n}"): n
            for n in range(3)
        },
        **histogram("sigmoid_batch_rows", batches),
        sample("sigmoid_workers"): 3,
    }


def test_killed_and_replaced() -> None:
    memory = SPAWN.RawArray("B", 2 * SLAB_BYTES)
    restarts, elements = map(
        sample, ("sigmoid_worker_restarts_total", "sigmoid_inflight_elements")
    )
    args = (memory, 1)
    writer = SPAWN.Process(target=count_forever, args=args, daemon=True)
    writer.start()
    while read(memory).get(restarts, 0) < 1000:
        assert writer.is_alive()
    writer.kill()
    writer.join(PATIENCE)
    before = read(memory)
    assert before == {restarts: before[restarts], elements: 7}
    replacement = Metrics(memory, 1)
    assert read(memory) == {restarts: before[restarts]}
    replacement.counter("sigmoid_worker_restarts_total").add(5)
    replacement.counter("sigmoid_requests_rejected_total", "draining").add()
    replacement.gauge("sigmoid_inflight_elements").set(2)
    assert read(memory) == {
        restarts: before[restarts] + 5,
        sample("sigmoid_requests_rejected_total", reason="draining"): 1,
        elements: 2,
    }


def test_died_before_its_last_record_counted() -> None:
    memory = bytearray(SLAB_BYTES)
    Metrics(memory, 0).counter("sigmoid_requests_rejected_total", "draining").add(3)
    (length,) = struct.unpack_from("q", memory)
    room = slice(8 + length, SLAB_BYTES - 8)
    memory[room] = b"\xaa" * (room.stop - room.start)
    draining = {sample("sigmoid_requests_rejected_total", reason="draining"): 3.0}
    assert read(memory) == draining
    replacement = Metrics(memory, 0)
    replacement.histogram("sigmoid_batch_rows").observe(2)
    replacement.gauge("sigmoid_ready")
    assert read(memory) == {**draining, **histogram("sigmoid_batch_rows", [2])}


def test_read_while_series_are_added() -> None:
    slabs, series = 2, 800
    memory = SPAWN.RawArray("B", slabs * SLAB_BYTES)
    turn = SPAWN.Event()
    args = (memory, slabs, series, turn)
    writer = SPAWN.Process(target=add_series, args=args, daemon=True)
    writer.start()
    seen = 0
    is_alive = True
    while is_alive:
        is_alive = writer.is_alive()
        turn.set()
        samples = read(memory)
        for (name, labels), value in samples.items():
            if name == "sigmoid_requests_rejected_total":
                assert value in {0, float(dict(labels)["reason"])}
            else:
                assert value == float(dict(labels)["model"])
        assert len(samples) >= seen
        seen = len(samples)
    writer.join(PATIENCE)
    assert writer.exitcode == 0
    numbers = range(1, slabs * series + 1)
    name = "sigmoid_model_golden_error"
    assert samples == {
        **{
            sample("sigmoid_requests_rejected_total", reason=str(n)): n for n in numbers
        },
        **{sample(name, model=str(n), version="1"): n for n in numbers},
    }


def test_read_at_every_line_of_a_writer() -> None:
    memory = bytearray(SLAB_BYTES)
    metrics = Metrics(memory, 0)
    metrics.counter("sigmoid_requests_rejected_total", "draining").add(3)
    draining = {sample("sigmoid_requests_rejected_total", reason="draining"): 3.0}
    added = {**draining, **histogram("sigmoid_batch_rows", [])}
    seen: list[dict[Sample, float]] = []

    def look(frame: FrameType, event: str, arg: object) -> TraceFunction:
        seen.append(read(memory))
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        metrics.histogram("sigmoid_batch_rows")
    finally:
        sys.settrace(before)
    assert all(one in (draining, added) for one in seen)
    assert seen[0] == draining
    assert seen[-1] == added
    assert len(seen) > 20


@pytest.mark.parametrize(
    "value",
    [
        'a"b',
        "a\nb",
        "a\\b",
        "a\\nb",
        '\\"',
        "a\rb",
        "a\u2028b",
        "é=1,{}",
        "",
        " ",
        "😀",
    ],
)
def test_any_text_is_a_label(value: str) -> None:
    memory = bytearray(SLAB_BYTES)
    Metrics(memory, 0).counter("sigmoid_reloads_total", value, "success").add()
    replacement = Metrics(memory, 0)
    replacement.counter("sigmoid_reloads_total", value, "success").add()
    key = sample("sigmoid_reloads_total", model=value, result="success")
    assert read(memory) == {key: 2}


def test_lone_surrogate_is_replaced() -> None:
    memory = bytearray(SLAB_BYTES)
    for _ in range(2):
        Metrics(memory, 0).counter("sigmoid_requests_rejected_total", "a\udc80").add()
    assert read(memory) == {sample("sigmoid_requests_rejected_total", reason="a?"): 2}


def test_full_slab(caplog: pytest.LogCaptureFixture) -> None:
    memory = bytearray(2 * SLAB_BYTES)
    Metrics(memory, 1).counter("sigmoid_requests_rejected_total", "0").add(0.5)
    untouched = memory[SLAB_BYTES:]
    metrics = Metrics(memory, 0)
    with caplog.at_level(logging.WARNING, "sigmoid_serve"):
        room = 0
        while not caplog.records:
            metrics.counter("sigmoid_requests_rejected_total", str(room)).add()
            room += 1
        room -= 1
        for number in range(room + 50):
            metrics.counter("sigmoid_requests_rejected_total", str(number)).add()
        metrics.gauge("sigmoid_build_info", "0" * 50).set(3)
        metrics.gauge("sigmoid_build_info", "0" * 50).forget()
        for rows in (1, 5000):
            metrics.histogram("sigmoid_batch_rows").observe(rows)
    assert [record.getMessage()[:20] for record in caplog.records] == [
        "metrics: no room for"
    ]
    assert room > 1000
    expected = {
        sample("sigmoid_requests_rejected_total", reason=str(number)): 2.0
        + (number == 0) / 2
        for number in range(room)
    }
    assert read(memory) == expected
    Metrics(memory, 0).counter("sigmoid_requests_rejected_total", "1").add()
    assert read(memory) == {
        **expected,
        sample("sigmoid_requests_rejected_total", reason="1"): 3.0,
    }
    assert memory[SLAB_BYTES:] == untouched


def test_records_and_cells_never_overlap() -> None:
    for padding in range(60):
        memory = bytearray(SLAB_BYTES)
        metrics = Metrics(memory, 0)
        metrics.counter("sigmoid_requests_rejected_total", "-" * padding).add()
        for number in range(100, 400):
            code = f"{number}" if number > 230 else f"{number:08000}"
            metrics.counter("sigmoid_requests_rejected_total", code).add()
        samples = read(memory)
        assert 60 < len(samples) < 190
        assert set(samples.values()) == {1.0}


def test_forgotten_gauges() -> None:
    memory = new_memory(2)
    metrics = [Metrics(memory, slab) for slab in (0, 1)]
    gauges = [
        [one.gauge(name, *labels) for one in metrics]
        for name, *labels in (
            ("sigmoid_ready",),
            ("sigmoid_workers",),
            ("sigmoid_model_load_seconds", "digits", "1"),
        )
    ]
    ready, workers = sample("sigmoid_ready"), sample("sigmoid_workers")
    load = sample("sigmoid_model_load_seconds", model="digits", version="1")
    assert read(memory) == {}
    for first, second in gauges:
        first.set(1)
        second.set(4)
    assert read(memory) == {ready: 1, workers: 5, load: 4}
    for _, second in gauges:
        second.forget()
    assert read(memory) == {ready: 1, workers: 1, load: 1}
    for first, second in gauges:
        first.set(nan)
        second.set(0)
    assert read(memory) == {ready: 0, workers: 0, load: 0}
    for _, second in gauges:
        second.forget()
    assert read(memory) == {}


def test_series_are_made_once() -> None:
    memory = bytearray(SLAB_BYTES)
    metrics = Metrics(memory, 0)
    codes = [str(number) for number in range(300)]

    def make(_: int) -> list[object]:
        return [
            metrics.counter("sigmoid_requests_rejected_total", code) for code in codes
        ]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(make, range(8)))
    finally:
        sys.setswitchinterval(interval)
    assert len({id(counter) for counters in made for counter in counters}) == 300
    for code in codes:
        metrics.counter("sigmoid_requests_rejected_total", code).add(int(code))
    assert read(memory) == {
        sample("sigmoid_requests_rejected_total", reason=code): int(code)
        for code in codes
    }
    assert metrics.gauge("sigmoid_ready") is metrics.gauge("sigmoid_ready")
    rows = metrics.histogram("sigmoid_batch_rows")
    assert metrics.histogram("sigmoid_batch_rows") is rows


def test_wrong_names() -> None:
    metrics = Metrics(new_memory(1), 0)
    with pytest.raises(ValueError, match=r"a counter .* got \('sigmoid_ready',\)"):
        metrics.counter("sigmoid_ready")
    with pytest.raises(ValueError, match="a gauge and the values of its labels"):
        metrics.gauge("sigmoid_ready", "yes")
    with pytest.raises(ValueError, match="a histogram and the values of its labels"):
        metrics.histogram("sigmoid_request_stage_duration_seconds")
    with pytest.raises(ValueError, match="a counter and the values of its labels"):
        metrics.counter("x" * 10_000)


@pytest.mark.parametrize("slab", [-1, 2])
def test_wrong_slab(slab: int) -> None:
    with pytest.raises(ValueError, match=f"a slab from 0 to 1, got {slab}"):
        Metrics(new_memory(2), slab)
