"""The script that restarts the pods of the shipped Deployment under load."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from benchmark.payloads import Task
from faulting.client import ask_once
from rolling import RolloutError
from rolling.clients import RAW, Load, ask_all
from rolling.cluster import Cluster, Endpoints, Step, step
from rolling.manifest import KINDS, Probe, Strategy, read_deployment
from rolling.pods import Headers, make_template
from rolling.probes import Count, count, is_answered, next_tick
from rolling.questions import questions
from rolling.record import Record
from tests.running import settings_of

REQUESTS = 100
SHIPPED = Path(__file__).parents[2] / "deploy" / "kubernetes" / "deployment.yaml"


@pytest.mark.parametrize(
    ("before", "answers", "verdicts"),
    [
        (None, "..x", "-.."),
        (None, ".xx", "--x"),
        (True, "x.x.xx", ".....x"),
        (True, "xx.x..", ".xxxx."),
        (False, ".x..x.xx", "xxx....x"),
    ],
    ids=["started", "not-started", "alive-then-dead", "dead-then-alive", "readiness"],
)
def test_only_so_many_alike_in_a_row_change_a_verdict(
    before: bool | None, answers: str, verdicts: str
) -> None:
    probe = Probe("/", failures=2, successes=2)
    counted, found = Count(before), ""
    for answer in answers:
        counted = count(counted, answer == ".", probe)
        found += {None: "-", True: ".", False: "x"}[counted.verdict]
    assert found == verdicts


@pytest.mark.parametrize(
    ("delay", "ages"),
    [(0, [10, 10, 20]), (9, [10, 10, 20]), (15, [20, 20, 20])],
    ids=["no-delay", "within-a-period", "beyond-a-period"],
)
def test_a_probe_is_asked_at_its_ticks(delay: int, ages: list[int]) -> None:
    probe = Probe("/", delay=delay, period=10)
    assert [next_tick(age, probe) for age in (0.0, 9.9, 10.0)] == ages


@pytest.mark.parametrize("path", ["/livez", "/nothing", "/models/digits"])
def test_a_probe_succeeds_by_its_status(client: httpx.Client, path: str) -> None:
    port = client.base_url.port or 0
    is_success = asyncio.run(is_answered(port, Probe(path, timeout=20)))
    assert is_success == (client.get(path).status_code < 400)


def test_a_probe_of_nobody_fails() -> None:
    assert not asyncio.run(is_answered(1, Probe("/livez")))


@pytest.mark.parametrize(
    "strategy",
    [Strategy(3, 1, 0), Strategy(3, 0, 1), Strategy(4, 2, 2), Strategy(1, 1, 0)],
    ids=str,
)
def test_never_too_many_pods_nor_too_few(strategy: Strategy) -> None:
    old, new, ready = strategy.replicas, 0, 0
    seen: list[Step] = []
    while old or ready < strategy.replicas:
        todo = step(old, new, old + ready, strategy)
        seen.append(todo)
        new += todo.create
        old -= todo.delete
        assert old + new <= strategy.replicas + strategy.surge
        assert old + ready >= strategy.replicas - strategy.unavailable
        if not todo.create and not todo.delete:
            ready += 1  # one of the new pods, which nothing else is waited for
            assert ready <= new
    assert sum(each.create for each in seen) == strategy.replicas
    assert sum(each.delete for each in seen) == strategy.replicas


def test_the_shipped_deployment_is_read_as_it_says() -> None:
    [document] = yaml.safe_load_all(SHIPPED.read_text(encoding="utf-8"))
    pod = document["spec"]["template"]["spec"]
    [container] = pod["containers"]
    deployment = read_deployment(SHIPPED, 3)
    assert deployment.strategy[:3] == (3, 1, 0)
    assert deployment.grace_seconds == pod["terminationGracePeriodSeconds"]
    assert deployment.probes.keys() == set(KINDS)
    for kind, probe in deployment.probes.items():
        given = container[f"{kind}Probe"]
        assert probe.path == given["httpGet"]["path"]
        assert probe.period == given.get("periodSeconds", 10)
        assert probe.timeout == given.get("timeoutSeconds", 1)
        assert probe.failures == given.get("failureThreshold", 3)
    settings = settings_of(**deployment.environment)
    assert [str(path) for path in settings.models] == ["/models"]
    # What the blind clients wait is within the drain, whatever they know by then.
    longest = max(each.pause[1] for each in RAW if each.is_blind)
    assert longest < settings.drain_seconds < deployment.grace_seconds


POD: dict[str, Any] = {
    "containers": [
        {
            "ports": [{"name": "http", "containerPort": 8080}],
            "livenessProbe": {"httpGet": {"path": "/livez", "port": "http"}},
        }
    ]
}


def manifest(folder: Path, pod: dict[str, Any], **spec: object) -> Path:
    file = folder / "deployment.yaml"
    spec["template"] = {"spec": pod}
    service = {"kind": "Service", "spec": {}}
    file.write_text(yaml.safe_dump_all([service, {"kind": "Deployment", "spec": spec}]))
    return file


@pytest.mark.parametrize(
    ("replicas", "rules", "expected"),
    [
        (3, {}, (1, 0)),
        (10, {"maxSurge": "25%", "maxUnavailable": "25%"}, (3, 2)),
        (2, {"maxSurge": 0, "maxUnavailable": "10%"}, (0, 1)),
    ],
    ids=["default", "percentages", "at-least-one"],
)
def test_what_a_manifest_leaves_out(
    tmp_path: Path, replicas: int, rules: dict[str, object], expected: tuple[int, int]
) -> None:
    strategy = {"rollingUpdate": rules}
    read = read_deployment(
        manifest(tmp_path, POD, replicas=replicas, strategy=strategy)
    )
    assert (read.strategy.surge, read.strategy.unavailable) == expected
    assert read.probes == {"liveness": Probe("/livez")}
    assert (read.grace_seconds, read.arguments) == (30, ("serve",))


@pytest.mark.parametrize(
    ("changes", "spec", "said"),
    [
        ({"lifecycle": {"preStop": {}}}, {}, "the container has lifecycle"),
        ({"env": [{"name": "A", "valueFrom": {}}]}, {}, "A has valueFrom"),
        ({"livenessProbe": {"exec": {}}}, {}, "httpGet in livenessProbe, got exec"),
        ({"ports": []}, {}, "asks port http, which the container has not"),
        ({}, {"strategy": {"type": "Recreate"}}, "RollingUpdate, got Recreate"),
    ],
    ids=["lifecycle", "value-from", "exec", "port", "recreate"],
)
def test_what_is_not_played_is_said(
    tmp_path: Path, changes: dict[str, Any], spec: dict[str, Any], said: str
) -> None:
    pod = {"containers": [{**POD["containers"][0], **changes}]}
    with pytest.raises(RolloutError, match=said):
        read_deployment(manifest(tmp_path, pod, **spec))


def test_what_is_no_deployment_is_said(tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    for text, said in (
        ("kind: Service\n", "got Service"),
        ("a: [", "cannot be read"),
        ("kind: Deployment\n", "not as expected: KeyError 'spec'"),
    ):
        file.write_text(text)
        with pytest.raises(RolloutError, match=said):
            read_deployment(file)


def test_a_pod_from_its_start_to_its_end(tmp_path: Path) -> None:
    """Clients of every kind ask it; one without the key is refused."""
    shipped = read_deployment(SHIPPED, 1)
    variables = {**shipped.environment, "SIGMOID_DRAIN_SECONDS": "0"}
    template, headers = make_template(replace(shipped, environment=variables), tmp_path)
    asyncio.run(live(Cluster(template, Endpoints(0)), headers))


async def live(cluster: Cluster, headers: Headers) -> None:
    try:
        await cluster.roll()
        await asyncio.sleep(0.05)  # what clients believe in is published with a lag
        [pod] = cluster.pods
        [port] = cluster.endpoints.believed
        assert (port, pod.is_ready) == (pod.port, True)
        tasks = await questions(port, headers)
        answered = 0

        def judged(task: Task, body: bytes) -> bool:
            nonlocal answered
            answered += 1
            return task.is_right(body)

        counted = [Task(task.request, partial(judged, task)) for task in tasks]
        load = Load(cluster.endpoints, counted, asyncio.Event())
        asking = asyncio.create_task(ask_all(load, cluster.phase))
        while answered < REQUESTS and not asking.done():
            await asyncio.sleep(0.05)
        load.stop.set()
        records = await asking
        assert not [each.examples for each in records if each.examples]
        assert sum(each.requests for each in records) >= REQUESTS
        assert sum(each.ports[port] for each in records) >= REQUESTS
        first = tasks[0].request
        stranger = replace(first, headers=first.headers[:1])
        record = Record("a client without the key", cluster.phase)
        record.judge(port, (await ask_once(port, stranger)).status, False, 0)
        assert record.failed == {"status 401": 1}
        await cluster.end()
        assert (pod.codes, pod.kills, pod.faults) == ([0], 0, [])
        await asyncio.sleep(0.05)
        assert cluster.endpoints.believed == ()
    finally:
        await cluster.stop()
