"""The benchmark of large networks: its sides, its tables, what it requires."""

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmark import BenchmarkError
from benchmark.figures import Figures, Key
from benchmark.networks import sides
from benchmark.networks.in_process import MACHINE, case, cpu_workload
from benchmark.networks.shapes import NETWORKS, Shape, write_weights
from benchmark.networks.tables import large_tables
from benchmark.networks.targets import large_targets
from benchmark.networks.through_http import BATCH, SUM, WAIT, batch_rows
from benchmark.networks.turns import rows_of, timed_call
from benchmark.programs import OURS

SMALL = Shape(3, 8, 2, 1)
WORKLOAD = cpu_workload(1)
FEW, MANY = case(NETWORKS[0], 8), case(NETWORKS[1], 32)


def test_a_shape_counts_what_its_network_has() -> None:
    parameters = [value.shape for value in SMALL.build().parameters()]
    assert SMALL.multiplications == sum(
        shape.numel() for shape in parameters if len(shape) == 2
    )
    assert SMALL.weight_bytes == 4 * sum(shape.numel() for shape in parameters)
    assert [shape.name for shape in NETWORKS] == [
        "30-64×2-1",
        "64-256×5-10",
        "256-1024×9-10",
        "1024-4096×5-10",
        "1024-1024×32-10",
    ]


def test_the_sides_compute_the_same(tmp_path: Path) -> None:
    path = write_weights(tmp_path, SMALL)
    written = path.stat().st_mtime_ns
    answers = []
    for command in (sides.engine(1, "cpu", 64), sides.plain(1, "cpu")):
        with sides.started(command) as side:
            for _ in range(2):  # a side reads one network after the other
                side.load(write_weights(tmp_path, SMALL))
            answers.append(side.timed(33, 0.01))
    assert path.stat().st_mtime_ns == written
    assert answers[0]["mean"] == pytest.approx(answers[1]["mean"], abs=1e-6)
    assert all(answer["seconds"] > 0 for answer in answers)


def test_a_side_that_ends_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(BenchmarkError, match=r"(?s)plain ended.*missing\.pt"),
        sides.started(sides.plain(1, "cpu")) as side,
    ):
        side.load(tmp_path / "missing.pt")


def test_a_side_ends_with_the_benchmark() -> None:
    command = sides.Command("cat", [sys.executable, "-c", "input()"])
    with pytest.raises(KeyError), sides.started(command) as side:
        raise KeyError
    assert side.process.returncode is not None


def test_a_call_is_timed_after_a_first_one() -> None:
    calls: list[int] = []

    def call() -> NDArray[np.float32]:
        calls.append(1)
        return rows_of(2, 3).astype(np.float32)

    timed = timed_call(call, 0.0)
    assert len(calls) == 4
    assert timed["mean"] == pytest.approx(rows_of(2, 3).mean(), rel=1e-6)


def test_the_batches_of_all_versions_are_added() -> None:
    text = (
        "# HELP sigmoid_batch_rows Rows.\n"
        'sigmoid_batch_rows_bucket{model="a",le="1"} 7\n'
        'sigmoid_batch_rows_count{model="a"} 3\n'
        'sigmoid_batch_rows_sum{model="a"} 12\n'
        'sigmoid_batch_rows_count{model="b"} 1\n'
        'sigmoid_batch_rows_sum{model="b"} 4\n'
    )
    assert batch_rows(text) == {"count": 4, "sum": 16}
    with pytest.raises(BenchmarkError, match="no sigmoid_batch_rows"):
        batch_rows("")


def measured() -> Figures:
    def seconds(name: str, side: str) -> Key:
        return Key(WORKLOAD, name, side, "seconds")

    return {
        Key(WORKLOAD, "", MACHINE, "bytes per second"): [1e9, 2e9],
        Key(WORKLOAD, "", MACHINE, "multiplications per second"): [1e11, 1e10],
        seconds(case(NETWORKS[0], 1), OURS): [0.1, 0.1],
        seconds(case(NETWORKS[0], 1), sides.PLAIN): [0.1, 0.1],
        seconds(FEW, OURS): [0.14, 0.28],
        seconds(FEW, sides.PLAIN): [0.1, 0.2],
        seconds(MANY, OURS): [0.3, 0.6],
        seconds(MANY, sides.PLAIN): [0.2, 0.4],
        Key("large npy", "", OURS, "seconds"): [1.0],
        Key("large npy", "", SUM, "seconds"): [0.8],
        Key("beside", "", WAIT, "p99 seconds"): [0.02],
        Key("beside", "", BATCH, "p50 seconds"): [0.04],
        Key("beside", "", BATCH, "rows"): [512.0],
    }


def test_the_worst_batch_is_judged() -> None:
    targets = {
        target.name: (target.measured, target.met)
        for target in large_targets(measured())
        if target.measured is not None
    }
    assert targets == {
        f"Large {WORKLOAD}, 1 and 8 rows: ours ÷ plain, worst: {FEW}": (
            pytest.approx(1.4),
            True,
        ),
        f"Large {WORKLOAD}, 32 rows and more: ours ÷ plain, worst: {MANY}": (
            pytest.approx(1.5),
            False,
        ),
        "4,096 rows to a large network, npy: ours ÷ (plain + read and write)": (
            pytest.approx(1.25),
            False,
        ),
        "one row beside a large network: p99 of its wait ÷ one batch": (0.5, True),
    }


def test_a_batch_stands_beside_the_limits_of_the_machine() -> None:
    tables = {table.title: table for table in large_tables(measured()) if table.rows}
    table = tables["Large networks, 1 thread: a batch in process"]
    weights = NETWORKS[1].weight_bytes / 2e9
    multiplications = 32 * NETWORKS[1].multiplications / 1e11
    assert table.rows[-1] == [
        NETWORKS[1].name,
        "32",
        "450.0",
        "300.0",
        "1.5",
        f"{1000 * weights:.3f}",
        f"{1000 * multiplications:.3f}",
        "no",
    ]
    assert not any("ONNX" in name for name in table.head)
    machine = tables["Large networks: what the machine can do"]
    assert machine.rows == [[WORKLOAD, "2.0", "100.0"]]
    beside = tables["Beside 4,096 rows to 256-1024×9-10 without pause"]
    assert beside.rows[-1][:2] == ["one batch of the large network, 512 rows", "40.00"]
