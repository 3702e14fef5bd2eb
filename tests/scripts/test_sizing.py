"""The simulation: formulas that are known, and what holds whatever is simulated."""

import json
import subprocess
from dataclasses import replace
from math import inf
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from benchmark.client import JSON, Request
from simulating import SizingError, results, service_times
from simulating.balancing import BALANCERS
from simulating.experiments import bursty, faster, highest_load, run
from simulating.fleet import Answered, answered
from simulating.kinds import KINDS
from simulating.loads import (
    Alone,
    Opened,
    Saturated,
    open_loop,
    poisson,
    saturated,
    unloaded,
)
from simulating.model import Model, document, from_document, model_of
from simulating.rounds import SHARES, Closed, Round
from simulating.service_times import Point, ServiceTimes, fit
from simulating.speed import STEP_SECONDS, Clock, Speed, speed_of, steps_of
from simulating.tables import tables
from simulating.validating import Compared, compared
from tests.scripts.test_bench import ROOT

ONE_BY_ONE = ServiceTimes((1.0,), (1.0,), most=1.0)


def in_jumps() -> Speed:
    """Stand still but for moments, a Poisson process, that do a unit of work each.

    Whenever a unit begins, it ends at the next of them: its time is exponential.
    """
    step = 0.005
    jumps = np.random.default_rng(1).random(4_000_000) < step
    return speed_of(jumps / step, step)


EXPONENTIAL = replace(ONE_BY_ONE, speed=in_jumps())
BATCHING = ServiceTimes((1.0, 2.0), (1.5, 2.0), most=inf, wake=0.1)
MEASURED = ServiceTimes((1.0, 4.0, 64.0), (2e-4, 4e-4, 4e-3), inf, 3e-5, 1e-5, 1e-5)
REQUESTS = 60_000
SCRIPT = ROOT / "scripts" / "sizing"


def simulated(
    times: ServiceTimes,
    rate: float,
    replicas: int = 1,
    balancing: str = "random",
    requests: int = REQUESTS,
) -> Answered:
    rng = np.random.default_rng(5)
    moments = poisson(rate * replicas, requests / rate / replicas, rng)
    return answered(moments, replicas, balancing, times, rng)


@pytest.mark.parametrize("load", [0.3, 0.5, 0.8])
def test_equal_service_times_wait_as_pollaczek_and_khinchine_say(load: float) -> None:
    found = simulated(ONE_BY_ONE, load)
    waited = found.seconds.mean() - 1
    assert waited == pytest.approx(load / (2 * (1 - load)), rel=0.08)
    assert found.busy == pytest.approx(load, rel=0.02)
    assert found.batch == 1


@pytest.mark.parametrize("load", [0.3, 0.5, 0.7])
def test_exponential_service_times_wait_as_erlang_says(load: float) -> None:
    found = simulated(EXPONENTIAL, load)
    assert found.seconds.mean() == pytest.approx(1 / (1 - load), rel=0.1)


def test_a_turn_that_costs_the_same_for_all_never_overflows() -> None:
    found = simulated(ServiceTimes((1.0, 2.0), (1.0, 1.0), most=inf), rate=20.0)
    # It waits for the turn at hand, half of it on average, and for its own.
    assert found.seconds.mean() == pytest.approx(1.5, rel=0.02)
    assert found.seconds.max() <= 2
    assert found.batch == pytest.approx(20, rel=0.05)


def test_a_limited_batch_leaves_the_rest_of_a_request_to_the_next() -> None:
    times = ServiceTimes((1.0,), (1.0,), most=1.5)
    found = answered(np.zeros(300), 1, "random", times, np.random.default_rng(0))
    assert found.batch == pytest.approx(1.5, rel=0.01)
    assert found.seconds.max() == pytest.approx(200, abs=1)


def test_a_turn_answers_one_after_the_other_at_its_end() -> None:
    times = ServiceTimes((1.0,), (1.0,), most=inf, wake=0.5, gap=0.1, sending=0.2)
    found = answered(np.zeros(3), 1, "random", times, np.random.default_rng(0))
    assert found.seconds == pytest.approx([1.5, 1.6, 1.7])


@pytest.mark.parametrize("balancing", BALANCERS)
@pytest.mark.parametrize("replicas", [1, 7])
def test_everything_is_answered_once_and_no_sooner_than_it_can_be(
    balancing: str, replicas: int
) -> None:
    found = simulated(BATCHING, 0.9, replicas, balancing, requests=5000)
    assert found.seconds.shape == (5000,)
    assert found.seconds.min() >= 1.5
    # What has been computed is what turns of so many requests take.
    assert 0 < found.busy <= 1


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_who_knows_more_waits_less_where_batches_save_nothing(load: float) -> None:
    means = {
        balancing: simulated(EXPONENTIAL, load, 10, balancing).seconds.mean()
        for balancing in BALANCERS
    }
    order = ["least outstanding", "two choices", "random", "connections"]
    assert sorted(order, key=lambda balancing: means[balancing]) == order
    assert means["least outstanding"] < means["round robin"] < means["random"]


def test_a_machine_that_is_twice_as_fast_answers_twice_the_rate_in_half_the_time() -> (
    None
):
    times = replace(BATCHING, wake=0.0, gap=0.05)
    slow = simulated(times, 1.2, requests=5000)
    fast = simulated(faster(times, 2), 2.4, requests=5000)
    assert fast.seconds == pytest.approx(slow.seconds / 2, rel=1e-6)
    assert fast.busy == pytest.approx(slow.busy)


def test_random_choice_makes_a_fleet_of_replicas_that_know_nothing_of_each_other() -> (
    None
):
    one, many = (simulated(BATCHING, 1.0, count).seconds for count in (1, 20))
    assert many.mean() == pytest.approx(one.mean(), rel=0.03)


def test_the_same_seed_gives_the_same_figures() -> None:
    first, second = (simulated(MEASURED, 9000, 3, "two choices") for _ in range(2))
    assert np.array_equal(first.seconds, second.seconds)


def test_bursts_have_the_rate_that_is_asked() -> None:
    moments = bursty(1000, 200, np.random.default_rng(3))
    assert np.all(np.diff(moments) >= 0)
    assert len(moments) / moments[-1] == pytest.approx(1000, rel=0.05)
    counts = np.histogram(moments, bins=2000)[0]
    assert counts.var() > 2 * counts.mean()


def test_service_times_come_of_closed_loops_and_requests_alone() -> None:
    points = [
        Point(count, count / (100e-6 + 50e-6 * count), count, 9e-6)
        for count in (64, 2, 4, 8)
    ]
    times = fit(points, 190e-6, 10e-6)
    assert times.most == inf
    assert times.turn(np.array([1.0, 6.0, 100.0])) == pytest.approx(
        [150e-6, 400e-6, 5100e-6]
    )
    assert times.wake == pytest.approx(30e-6)
    assert times.gap == 9e-6
    assert times.capacity == pytest.approx(64 / 3300e-6)
    text = json.dumps(service_times.document(times))
    assert service_times.from_document(json.loads(text)) == times


def test_once_a_batch_is_full_a_turn_takes_no_longer() -> None:
    points = [
        Point(2, 1000, 2, 0),
        Point(3, 1000, 3, 0),
        Point(8, 1000, 3, 0),
        Point(16, 1000, 3, 0),
    ]
    times = fit(points, 1e-3, 0)
    assert times.most == 3
    assert times.turn(np.array([1.0, 2.0, 3.0, 50.0])) == pytest.approx(
        [1e-3, 2e-3, 3e-3, 3e-3]
    )


def test_work_takes_as_long_as_the_core_has_it() -> None:
    # A second at speed 1, one at none, one at twice as much.
    speed = speed_of(np.array([1.0, 0.0, 2.0]), 1.0)
    assert (speed.length, speed.mean) == (3, 1)
    clock = Clock(speed, 0.0)
    assert clock.after(0.0, 0.5) == pytest.approx(0.5)
    assert clock.after(0.5, 0.5) == pytest.approx(1.0)
    assert clock.after(0.5, 1.5) == pytest.approx(2.5)
    assert clock.after(1.5, 2.5) == pytest.approx(3.5)
    assert clock.after(0.0, 30.0) == pytest.approx(30.0)
    assert Clock(speed, 2.0).after(0.0, 1.0) == pytest.approx(0.5)
    half = speed_of(np.array([0.5]), 1.0)
    assert Clock(half, 0.3).after(7.1, 0.25) == pytest.approx(7.6)


def test_a_speed_is_found_in_requests_that_are_the_same_work() -> None:
    moments = np.array([0.2, 0.4, 2.5, 4.9, 9.0]) * STEP_SECONDS
    taken = np.array([1.0, 3.0, 1.0, 0.5, 2.0])
    found = steps_of(moments, taken, 5 * STEP_SECONDS)
    # What is beyond the end counts for the last step.
    assert found == pytest.approx([0.5, 0.75, 1.0, 0.9, 0.8])


@pytest.fixture(scope="module")
def row() -> bytes:
    body = b'{"inputs":[[' + b",".join([b"1"] * 64) + b"]]}"
    path = "/models/digits/predict"
    return Request("POST", path, body, (("Content-Type", JSON),)).message()


def test_each_load_gets_all_its_answers(client: httpx.Client, row: bytes) -> None:
    port = client.base_url.port or 80
    rng = np.random.default_rng(0)
    closed = saturated(port, row, 3, 5, 0.02)
    assert closed.rate > 0
    assert closed.start < closed.moments.min() < closed.moments.max() < closed.end
    assert 0 < closed.handling.min() < closed.handling.max() < 1
    alone = unloaded(port, row, 2, 1e-4, 0.02, rng)
    assert len(alone.seconds) == len(alone.handling) > 2
    assert np.all(alone.seconds > alone.handling)
    assert alone.sending > 0
    # All are due at once, and there are fewer connections than requests.
    opened = open_loop(port, row, np.zeros(20), 4)
    assert np.all(opened.seconds > opened.late + opened.handling)
    assert opened.late[-1] > opened.late[0]


def test_another_answer_than_200_ends_a_load(client: httpx.Client) -> None:
    message = Request("POST", "/predict", b"{}", (("Content-Type", JSON),)).message()
    with pytest.raises(SizingError, match="422"):
        saturated(client.base_url.port or 80, message, 1, 1, 0.01)


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "sigmoid"])
def test_each_kind_is_a_request_of_the_service(kind: str) -> None:
    request = KINDS[kind].make()
    assert urlsplit(request.path).path.endswith(("/predict", "/infer"))
    assert request.body


HANDLING = 1e-4


def a_round(seed: int, by: float = 1.0) -> Round:
    """Make up a round of a server that the model describes.

    Args:
        seed: Of the arrivals.
        by: By how much its latencies are longer than the model says.
    """
    rng = np.random.default_rng(seed)
    closed = []
    for number in (2, 4, 64):
        rate = number / float(MEASURED.turn(number))
        moments = np.arange(0, 0.2, 1 / rate)
        handling = np.full(len(moments), HANDLING)
        closed.append(Closed(number, number, Saturated(0, 0.2, moments, handling)))
    one = float(MEASURED.turn(1.0)) + MEASURED.wake + MEASURED.sending
    arrivals = {share: poisson(share * 16_000, 0.5, rng) for share in SHARES}
    opened = {}
    for share, moments in arrivals.items():
        taken = by * answered(moments, 1, "random", MEASURED, rng).seconds
        opened[share] = Opened(taken, np.full(len(moments), HANDLING), taken)
    alone = Alone(np.full(3, one), np.full(3, HANDLING), MEASURED.sending)
    return Round(closed, alone, arrivals, opened)


def test_the_simulation_is_compared_round_by_round() -> None:
    model = Model(MEASURED, HANDLING, 1.0)

    def found(*factors: float) -> list[Compared]:
        return compared([a_round(*each) for each in enumerate(factors)], model)

    assert all(line.is_met for line in found(1.0, 1.0, 9.0))
    wrong = found(1.25, 1.25, 0.1)
    assert [line.is_met for line in wrong] == [False, True] * 3
    assert [line.offs[1] for line in wrong] == pytest.approx([-0.2] * 6, abs=0.05)
    assert all(line.offs[0] < line.offs[1] < line.offs[2] for line in wrong)


def test_the_model_is_found_again_in_what_it_makes() -> None:
    rounds = [a_round(number) for number in range(3)]
    model = model_of(rounds)
    counts = np.array([2.0, 4.0, 64.0])
    assert model.times.turn(counts) == pytest.approx(MEASURED.turn(counts), rel=0.02)
    assert model.times.wake == pytest.approx(MEASURED.wake, abs=1e-5)
    assert (model.handling, model.exponent) == (HANDLING, 1.0)
    times, warmth = from_document(json.loads(json.dumps(document(rounds, model))))
    assert warmth == dict.fromkeys(SHARES, 1.0)
    assert times.speed.mean == pytest.approx(1.0)
    assert times.speed.length == pytest.approx(3 * 0.5, abs=0.1)
    assert times.seconds == model.times.seconds


@pytest.mark.parametrize("exponent", [0.8, 1.0])
def test_a_slow_core_makes_service_times_no_longer(exponent: float) -> None:
    """A round in which all takes longer says the same of a core of speed 1."""
    rounds = [a_round(number) for number in range(3)]
    slow = rounds[1]
    for place, loop in enumerate(slow.closed):
        load, longer = loop.load, 1.5
        handling = load.handling * longer ** (1 / exponent)
        stretched = Saturated(0, 0.2 * longer, load.moments * longer, handling)
        slow.closed[place] = loop._replace(load=stretched)
    model = model_of(rounds)
    assert model.exponent == pytest.approx(exponent)
    counts = np.array([2.0, 4.0, 64.0])
    assert model.times.turn(counts) == pytest.approx(MEASURED.turn(counts), rel=0.02)


def test_highest_load_is_found_between_two() -> None:
    by_load = {"0.2": {"p99": 1.0}, "0.4": {"p99": 3.0}}
    assert highest_load(by_load, 2.0) == pytest.approx(0.3)
    assert highest_load(by_load, 0.5) == 0
    assert highest_load(by_load, 9.0) == pytest.approx(0.4)


def test_the_tables_have_all_that_is_simulated() -> None:
    """With one request in a thousand of those that figures to publish need."""
    shown: list[str] = []
    figures = {
        "shown": "a row",
        **run(MEASURED, {0.3: 0.9, 0.8: 1.0}, 0.001, shown.append),
    }
    found = tables({results.SIMULATED: {"kinds": {"row": figures}}})
    assert all(len(line) == len(table.head) for table in found for line in table.rows)
    assert "1,000 replicas, two choices, 90%" in shown
    by_load = figures["fleets"]["random"]["1"]
    assert by_load["0.9"]["batch"] > by_load["0.3"]["batch"] > 1
    # Without batches, as many requests keep a core busier.
    for load, single in figures["one by one"].items():
        assert single["busy"] >= by_load[load]["busy"]


def test_only_what_was_validated_is_simulated(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    with pytest.raises(SizingError, match="nothing has shown"):
        results.validated(results.read(path), "row")
    known = results.renew(path, results.VALIDATED, {"kinds": {"row": {"met": False}}})
    with pytest.raises(SizingError, match="not near enough"):
        results.validated(known, "row")
    done = subprocess.run(
        [SCRIPT, "simulate", "--kinds", "row", "--output", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "not near enough" in done.stderr
