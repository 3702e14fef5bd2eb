"""docs/kubernetes.md names files, objects and paths that are there."""

import re

import pytest

from sigmoid_serve.configuration.settings import Settings
from tests.deploy.objects import OBJECTS, PODS, ROOT
from tests.documentation.pages import PAGES, blocks

PAGE = "docs/kubernetes.md"
TEXT = PAGES[PAGE]
HERE = "tests/deploy/test_page.py"
COMMANDS = "".join(each.text for each in blocks(PAGE) if HERE in each.covered)
KINDS = {kind.lower(): kind for kind in (name.split()[0] for name in OBJECTS)}
SECRETS = {
    each["secret"]["secretName"]: "keys.txt"
    for pod in PODS.values()
    for each in pod.spec.get("volumes", ())
    if "secret" in each
}


def test_every_file_is_there() -> None:
    named = set(re.findall(r"(?<!tests/)\bdeploy/[\w./-]+\b", TEXT))
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).exists()] == []
    folders = {f"deploy/{path.name}" for path in (ROOT / "deploy").iterdir()}
    assert folders <= named


def test_every_object_is_there() -> None:
    named = re.findall(rf"\b({'|'.join(KINDS)})/([a-z-]+)", COMMANDS)
    assert len(named) > 5
    assert {f"{KINDS[kind]} {name}" for kind, name in named} <= OBJECTS.keys()
    [label] = set(re.findall(r"-l (\S+?)=(\S+?)\)", COMMANDS))
    assert label in PODS["deployment"].labels.items()
    assert label not in PODS["writer"].labels.items()


def test_the_secrets_are_those_that_are_used() -> None:
    [monitor] = OBJECTS["PodMonitor sigmoid-serve"]["spec"]["podMetricsEndpoints"]
    credentials = monitor["authorization"]["credentials"]
    used = {**SECRETS, credentials["name"]: credentials["key"]}
    made = re.findall(r"secret generic (\S+) --from-file=(\S+)", COMMANDS)
    assert dict(made) == used


def test_the_service_has_the_port() -> None:
    [port] = OBJECTS["Service sigmoid-serve"]["spec"]["ports"]
    forwarded = re.search(r"service/sigmoid-serve (\d+):(\d+)", COMMANDS)
    assert forwarded
    assert int(forwarded[2]) == port["port"]


def test_models_are_written_where_they_are_mounted() -> None:
    [mount] = PODS["writer"].container["volumeMounts"]
    [models] = PODS["deployment"].settings.models
    assert str(models) == mount["mountPath"]
    paths = re.findall(r"(?<=[ :])/\S+/\.?\d\S*", COMMANDS)
    assert len(paths) > 5
    assert all(path.startswith(f"{models}/fruit/") for path in paths)


@pytest.mark.parametrize("name", ["drain", "shutdown", "timeout", "load"])
def test_the_times_are_those_that_are_set(name: str) -> None:
    variable = f"SIGMOID_{name.upper()}_SECONDS"
    told = re.findall(rf"`{variable}` \((\d+)\)", TEXT.partition("## KServe")[0])
    field = f"{name}_seconds"
    assert {float(each) for each in told} == {
        float(getattr(PODS["deployment"].settings, field))
    }
    of_kserve = re.findall(
        rf"`{variable}` (?:\(|is )(\d+)", TEXT.partition("## KServe")[2]
    )
    assert {float(each) for each in of_kserve} <= {
        float(getattr(PODS["runtime"].settings, field)),
        float(getattr(Settings(), field)),
    }


def test_the_numbers_are_those_of_the_manifests() -> None:
    pod = PODS["deployment"]
    grace = pod.spec["terminationGracePeriodSeconds"]
    assert f"`terminationGracePeriodSeconds` ({grace})" in TEXT
    scaler = OBJECTS["HorizontalPodAutoscaler sigmoid-serve"]["spec"]
    assert f"`minReplicas: {scaler['minReplicas']}`" in TEXT
    share = scaler["metrics"][0]["resource"]["target"]["averageUtilization"]
    assert f"at {share} % of that CPU" in TEXT
    startup = pod.container["startupProbe"]
    budget = startup["periodSeconds"] * startup["failureThreshold"]
    assert f"**Startup**: up to {budget} s" in TEXT
