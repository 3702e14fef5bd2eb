"""The manifests agree with the program, and with each other."""

import re
import tomllib
from pathlib import Path

import httpx
import pytest
import yaml

from manifesting.documents import KUSTOMIZATION, read
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.process.heartbeat import CHECK_SECONDS, MAX_MISSED_BEATS
from tests.deploy.objects import (
    DEPLOY,
    DOCKERFILE,
    OBJECTS,
    OURS,
    PODS,
    PREFIX,
    ROOT,
    Pod,
    Tree,
    load,
)
from tests.documentation.shell import parsed
from tests.documentation.test_deployment import LEFT_OVER

DEPLOYMENT = OBJECTS["Deployment sigmoid-serve"]
SERVER = PODS["deployment"]
KUSTOMIZATIONS = sorted(path.parent for path in DEPLOY.rglob(KUSTOMIZATION))
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

ENDPOINTS_LAG = 2
"""Seconds until the last proxy of a cluster has heard which pods are ready."""
START = 30
"""Seconds that a process takes at most until it loads models, on a busy machine."""
PROGRESS_DEADLINE = 600
"""Seconds after which a Deployment counts as failed, where it does not say it."""
GRACE = 30
"""Seconds that a pod gets to end, where it does not say it."""


def spec(name: str) -> Tree:
    return dict(OBJECTS[name]["spec"])


def probe(pod: Pod, kind: str) -> Tree:
    return dict(pod.container[f"{kind}Probe"])


def ports(pod: Pod) -> dict[str | int, int]:
    """Its ports by name and by number."""
    named: dict[str | int, int] = {}
    for each in pod.container["ports"]:
        number = each["containerPort"]
        named |= {number: number, each.get("name", number): number}
    return named


@pytest.mark.parametrize("kind", ["startup", "readiness", "liveness"])
@pytest.mark.parametrize("pod", OURS, ids=str)
def test_the_probes_are_answered(pod: Pod, kind: str, client: httpx.Client) -> None:
    asked = probe(pod, kind)["httpGet"]
    assert ports(pod)[asked["port"]] == pod.settings.port
    answer = client.get(asked["path"])
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("pod", OURS, ids=str)
def test_the_probes_wait_as_long_as_the_program_may_take(pod: Pod) -> None:
    settings = pod.settings
    startup, readiness, liveness = (
        probe(pod, kind) for kind in ("startup", "readiness", "liveness")
    )
    budget = startup["periodSeconds"] * startup["failureThreshold"]
    assert settings.load_seconds + START <= budget < PROGRESS_DEADLINE
    # Whoever goes by readiness alone has heard of the end before it comes.
    unready = readiness["periodSeconds"] * readiness["failureThreshold"]
    assert unready + ENDPOINTS_LAG < settings.drain_seconds
    assert readiness["failureThreshold"] > 1, "one probe that is lost is no fault"
    # A worker that hangs is replaced by the supervisor, not the pod by the kubelet.
    unalive = liveness["periodSeconds"] * (liveness["failureThreshold"] - 1)
    assert unalive >= 2 * MAX_MISSED_BEATS * CHECK_SECONDS
    assert readiness["timeoutSeconds"] < liveness["timeoutSeconds"] <= 10


@pytest.mark.parametrize("pod", OURS, ids=str)
def test_the_end_has_the_time_that_it_takes(pod: Pod) -> None:
    settings = pod.settings
    grace = pod.spec.get("terminationGracePeriodSeconds", GRACE)
    assert grace == settings.shutdown_seconds + LEFT_OVER
    # What was let in during the drain is answered, with 504 at the latest.
    assert settings.drain_seconds + settings.timeout_seconds < settings.shutdown_seconds


@pytest.mark.parametrize("pod", PODS.values(), ids=str)
def test_every_variable_is_a_setting(pod: Pod) -> None:
    names = [name for name in pod.variables if name.startswith(PREFIX)]
    assert {name.removeprefix(PREFIX).lower() for name in names} <= {
        *Settings.model_fields
    }
    assert pod.settings


@pytest.mark.parametrize("pod", PODS.values(), ids=str)
def test_every_path_is_mounted(pod: Pod) -> None:
    mounts = pod.container.get("volumeMounts", [])
    volumes = {volume["name"] for volume in pod.spec.get("volumes", ())}
    assert {mount["name"] for mount in mounts} == volumes
    assert not any("subPath" in mount for mount in mounts), "it would never change"
    folders = {mount["mountPath"] for mount in mounts}
    settings = pod.settings
    assert {str(path) for path in settings.models} <= folders
    if settings.api_keys_file:
        assert str(settings.api_keys_file.parent) in folders
        assert settings.api_keys_file.name == "keys.txt"
    assert {m["mountPath"] for m in mounts if m.get("readOnly")} == folders - {
        "/tmp",
        *(["/models"] if pod.name == "writer" else []),
    }


def test_the_claim_and_the_account_are_there() -> None:
    for pod in PODS.values():
        for volume in pod.spec.get("volumes", ()):
            if claim := volume.get("persistentVolumeClaim"):
                assert f"PersistentVolumeClaim {claim['claimName']}" in OBJECTS
            if secret := volume.get("secret"):
                assert secret["secretName"] == "sigmoid-keys"
                # fsGroup gives it to the group.
                assert secret["defaultMode"] == 0o440
    assert f"ServiceAccount {SERVER.spec['serviceAccountName']}" in OBJECTS
    uri = spec("InferenceService fruit")["predictor"]["model"]["storageUri"]
    assert re.fullmatch(r"pvc://models/[a-z]+", uri)


@pytest.mark.parametrize("pod", OURS, ids=str)
def test_what_is_typed_is_a_command(pod: Pod) -> None:
    assert 'ENTRYPOINT ["sigmoid-serve"]' in DOCKERFILE
    assert "command" not in pod.container
    words = [word.replace("{{.Name}}", "fruit") for word in pod.container["args"]]
    typed = parsed(words)
    assert words[0] == "serve"
    if pod.name == "runtime":
        assert typed["checkpoints"] == [Path("fruit=/mnt/models")]


@pytest.mark.parametrize("pod", OURS, ids=str)
def test_the_image_listens_where_others_reach_it(pod: Pod) -> None:
    host = re.search(r"^ENV SIGMOID_HOST=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert host
    assert host[1] == "0.0.0.0"
    assert f"\nEXPOSE {pod.settings.port}\n" in DOCKERFILE
    assert set(ports(pod).values()) == {pod.settings.port}
    assert "SIGMOID_HOST" not in pod.variables


def test_the_images_are_those_that_are_built() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    name = re.findall(r"docker build -t (\S+)", page)[0]
    base = load("kubernetes/kustomization.yaml")
    assert base["images"] == [{"name": name, "newTag": VERSION}]
    used = {pod.name: pod.container["image"] for pod in PODS.values()}
    assert used == {
        "deployment": name,
        "writer": f"{name}:{VERSION}",
        "runtime": f"{name}:{VERSION}",
        "ray-head": f"{name}:{VERSION}-ray",
        "ray-worker": f"{name}:{VERSION}-ray",
    }


@pytest.mark.parametrize(
    "selector",
    [
        spec("Deployment sigmoid-serve")["selector"],
        {"matchLabels": spec("Service sigmoid-serve")["selector"]},
        spec("PodDisruptionBudget sigmoid-serve")["selector"],
        spec("NetworkPolicy sigmoid-serve")["podSelector"],
        spec("PodMonitor sigmoid-serve")["selector"],
        SERVER.spec["topologySpreadConstraints"][0]["labelSelector"],
    ],
    ids=["Deployment", "Service", "Budget", "Policy", "Monitor", "spread"],
)
def test_a_selector_finds_the_servers_alone(selector: Tree) -> None:
    wanted = selector["matchLabels"].items()
    found = [pod.name for pod in PODS.values() if wanted <= pod.labels.items()]
    assert found == ["deployment"]


def test_the_ports_are_those_of_the_server() -> None:
    named = ports(SERVER)
    [port] = spec("Service sigmoid-serve")["ports"]
    assert named[port["targetPort"]] == SERVER.settings.port
    policy = spec("NetworkPolicy sigmoid-serve")
    [rule] = policy["ingress"]
    [allowed] = rule["ports"]
    assert named[allowed["port"]] == SERVER.settings.port
    assert (policy["policyTypes"], policy["egress"]) == (["Ingress", "Egress"], [])


def test_the_autoscaler_counts_what_there_is() -> None:
    scaler = spec("HorizontalPodAutoscaler sigmoid-serve")
    target = scaler["scaleTargetRef"]
    assert target["apiVersion"] == DEPLOYMENT["apiVersion"]
    assert f"{target['kind']} {target['name']}" in OBJECTS
    assert "replicas" not in DEPLOYMENT["spec"], "the autoscaler has chosen them"
    assert 2 <= scaler["minReplicas"] < scaler["maxReplicas"]
    # Short requests are computed on one thread: with a larger request of CPU, the share
    # could never be reached.
    cpu = SERVER.container["resources"]["requests"]["cpu"]
    assert float(cpu) <= SERVER.settings.workers
    [metric] = scaler["metrics"]
    assert metric["resource"]["target"]["averageUtilization"] < 100
    # With one pod less there is still one.
    budget = spec("PodDisruptionBudget sigmoid-serve")
    assert budget["maxUnavailable"] < scaler["minReplicas"]


def test_the_queue_is_a_metric(client: httpx.Client) -> None:
    [added] = load_patch("kubernetes-queue/horizontalpodautoscaler.yaml")
    [rule] = load("kubernetes-queue/adapter-values.yaml")["rules"]["custom"]
    assert added["value"]["pods"]["metric"]["name"] == rule["name"]["as"]
    query = re.fullmatch(r"(\w+)\{(.*)\}", rule["seriesQuery"])
    assert query
    series, labels = query.groups()
    stage = labels.partition(",")[0]
    [endpoint] = spec("PodMonitor sigmoid-serve")["podMetricsEndpoints"]
    assert ports(SERVER)[endpoint["port"]] == SERVER.settings.port
    assert f"\n{series}{{{stage}}} " in client.get(endpoint["path"]).text
    assert stage in rule["metricsQuery"]
    # A rate needs more than two values, also where one is missed.
    interval = int(endpoint["interval"].removesuffix("s"))
    assert f"[{4 * interval // 60}m]" in rule["metricsQuery"]


def load_patch(path: str) -> list[Tree]:
    return list(yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8")))


@pytest.mark.parametrize("folder", KUSTOMIZATIONS, ids=lambda path: path.name)
def test_a_kustomization_lists_what_is_there(folder: Path) -> None:
    kustomization = yaml.safe_load((folder / KUSTOMIZATION).read_text())
    resources = kustomization["resources"]
    for name in resources:
        path = folder / name
        assert path.is_file() or (path / KUSTOMIZATION).is_file(), name
    objects = {
        path.name
        for path in folder.glob("*.yaml")
        if read(path.name, path.read_text(encoding="utf-8"))
    }
    assert objects == {name for name in resources if (folder / name).is_file()}
    for patch in kustomization.get("patches", ()):
        target = patch["target"]
        assert (folder / patch["path"]).is_file()
        assert f"{target['kind']} {target['name']}" in OBJECTS
