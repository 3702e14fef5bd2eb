"""The manifests of Ray name what the module and the image have."""

import ast
import re

import yaml

from tests.deploy.objects import DOCKERFILE, OBJECTS, PODS, ROOT, Tree, load

SERVICE = OBJECTS["RayService sigmoid-serve"]["spec"]
CLUSTER = SERVICE["rayClusterConfig"]
CONFIG = load("ray/serve.yaml")
MODULE = ROOT / "service" / "sigmoid_serve" / "ray.py"
PINS = ROOT / "scripts" / "requirements"

PORTS = {"gcs-server": 6379, "dashboard": 8265, "client": 10001, "serve": 8000}
"""Where Ray listens, as KubeRay calls it."""
AGENT = 52365
"""Where each node of Ray says how it is; KubeRay starts it there."""


def deployment() -> Tree:
    [application] = CONFIG["applications"]
    [found] = application["deployments"]
    return dict(found)


def test_both_configurations_are_one() -> None:
    assert yaml.safe_load(SERVICE["serveConfigV2"]) == CONFIG


def test_the_module_has_what_is_named() -> None:
    [application] = CONFIG["applications"]
    module, _, attribute = application["import_path"].partition(":")
    assert module == "sigmoid_serve.ray"
    text = MODULE.read_text(encoding="utf-8")
    assigned = {
        target.id
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    assert attribute in assigned
    for word in (deployment()["name"], *deployment()["user_config"]):
        assert re.search(rf"\b{word}\b", text), word


def test_the_ray_of_the_image_is_the_one_that_is_named() -> None:
    pinned = (PINS / "ray.txt").read_text(encoding="utf-8")
    [version] = re.findall(r"^ray(?:\[[\w,-]+\])?==(\S+)", pinned, re.MULTILINE)
    assert CLUSTER["rayVersion"] == version
    assert "ARG REQUIREMENTS=serve\n" in DOCKERFILE
    assert '"scripts/requirements/$REQUIREMENTS.txt"' in DOCKERFILE


def test_the_ports_are_those_of_ray() -> None:
    head = PODS["ray-head"].container
    assert {p["name"]: p["containerPort"] for p in head["ports"]} == PORTS
    worker = PODS["ray-worker"].container
    [port] = worker["ports"]
    assert (
        PORTS[port["name"]] == port["containerPort"] == CONFIG["http_options"]["port"]
    )
    assert worker["readinessProbe"]["httpGet"]["port"] == port["name"]
    for probe in (
        head["readinessProbe"],
        head["livenessProbe"],
        worker["livenessProbe"],
    ):
        assert probe["httpGet"]["port"] == AGENT


def test_no_probe_needs_a_program() -> None:
    """The image has no wget, which those of KubeRay call."""
    for pod in PODS.values():
        for name, probe in pod.container.items():
            if name.endswith("Probe"):
                assert "httpGet" in probe, (pod.name, name)


def test_ray_can_write_where_it_has_to() -> None:
    autoscaler = CLUSTER["autoscalerOptions"]
    for container in (PODS["ray-head"].container, PODS["ray-worker"].container):
        mounted = {each["mountPath"] for each in container["volumeMounts"]}
        home = {each["name"]: each["value"] for each in container["env"]}["HOME"]
        assert home in mounted
        assert autoscaler["env"] == [{"name": "HOME", "value": home}]
    assert autoscaler["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]


def test_every_replica_finds_a_worker() -> None:
    [group] = CLUSTER["workerGroupSpecs"]
    asked, each = deployment(), deployment()["max_replicas_per_node"]
    scaling = asked["autoscaling_config"]
    assert scaling["min_replicas"] <= each * group["minReplicas"]
    assert scaling["max_replicas"] <= each * group["maxReplicas"]
    assert scaling["target_ongoing_requests"] < asked["max_ongoing_requests"]
    cpus = asked["ray_actor_options"]["num_cpus"]
    worker = PODS["ray-worker"]
    assert int(worker.variables["SIGMOID_THREADS"]) == cpus
    # One is left for the proxy.
    assert each * cpus < int(worker.container["resources"]["limits"]["cpu"])
    assert CLUSTER["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}


def test_a_worker_is_forgotten_before_it_ends() -> None:
    worker = PODS["ray-worker"]
    probe = worker.container["readinessProbe"]
    waits = worker.container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert probe["periodSeconds"] * probe["failureThreshold"] < waits
    assert waits < worker.spec["terminationGracePeriodSeconds"]
    mounted = {m["name"]: m["mountPath"] for m in worker.container["volumeMounts"]}
    assert deployment()["user_config"]["models"] == [mounted["models"]]
