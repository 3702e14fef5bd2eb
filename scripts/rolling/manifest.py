"""A Deployment, as far as a rolling restart of it is played."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from rolling import RolloutError

KINDS: Final = ("startup", "readiness", "liveness")
KEYS_FILE: Final = "SIGMOID_API_KEYS_FILE"
MODELS: Final = "SIGMOID_MODELS"

# What changes the start or the end of a container, and is not played here.
_NOT_PLAYED: Final = {
    "the pod": ("initContainers", "hostNetwork"),
    "the container": ("envFrom", "lifecycle", "command"),
}


class Probe(NamedTuple):
    """A probe by HTTP; what a manifest leaves out is what Kubernetes takes for it.

    Attributes:
        path: What is asked.
        delay: Seconds from the start of the container in which it is not asked.
        period: Seconds from one time to the next.
        timeout: Seconds in which an answer must have come.
        failures: So many in a row are a failure.
        successes: So many in a row are a success.
    """

    path: str
    delay: float = 0
    period: float = 10
    timeout: float = 1
    failures: int = 3
    successes: int = 1


_FIELDS: Final = {
    "initialDelaySeconds": "delay",
    "periodSeconds": "period",
    "timeoutSeconds": "timeout",
    "failureThreshold": "failures",
    "successThreshold": "successes",
}


class Strategy(NamedTuple):
    """How pods are replaced.

    Attributes:
        replicas: How many there are.
        surge: How many more there may be meanwhile.
        unavailable: How many fewer may be available meanwhile.
        min_ready_seconds: So long a pod has to be ready before it is available.
        progress_seconds: Longest time of a rolling restart.
    """

    replicas: int
    surge: int
    unavailable: int
    min_ready_seconds: float = 0
    progress_seconds: float = 600


@dataclass(frozen=True)
class Deployment:
    """A Deployment of one container.

    Attributes:
        strategy: How its pods are replaced.
        grace_seconds: From SIGTERM to SIGKILL.
        arguments: Of the image's program.
        environment: Variables of the container.
        mounts: Where the container has volumes.
        probes: By their kinds.
    """

    strategy: Strategy
    grace_seconds: float
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: tuple[str, ...]
    probes: Mapping[str, Probe]


def read_deployment(path: Path, replicas: int | None = None) -> Deployment:
    """Read the Deployment of a file.

    Args:
        path: Of YAML, one document or several.
        replicas: In place of the manifest's.

    Raises:
        RolloutError: There is none, or more than one, or it has what is not played.
    """
    try:
        documents = [*yaml.safe_load_all(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RolloutError(f"{path} cannot be read: {str(error)[:300]}") from None
    found = [each for each in documents if _kind(each) == "Deployment"]
    if len(found) != 1:
        kinds = ", ".join(map(_kind, documents))[:200]
        raise RolloutError(f"{path}: expected one Deployment, got {kinds or 'nothing'}")
    try:
        return _deployment(found[0]["spec"], replicas)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"{type(error).__name__} {str(error)[:200]}"
        raise RolloutError(
            f"{path}: the Deployment is not as expected: {what}"
        ) from None
    except RolloutError as error:
        raise RolloutError(f"{path}: {error}") from None


def _deployment(spec: Mapping[str, Any], replicas: int | None) -> Deployment:
    pod = spec["template"]["spec"]
    containers = pod["containers"]
    if len(containers) != 1:
        raise RolloutError(f"expected one container, got {len(containers)}")
    [container] = containers
    for place, given in (("the pod", pod), ("the container", container)):
        for name in _NOT_PLAYED[place]:
            if given.get(name):
                raise RolloutError(f"{place} has {name}, which is not played")
    ports = {each.get("name"): each["containerPort"] for each in container["ports"]}
    return Deployment(
        strategy=_strategy(spec, replicas),
        grace_seconds=float(pod.get("terminationGracePeriodSeconds", 30)),
        arguments=tuple(map(str, container.get("args") or ("serve",))),
        environment=dict(_variables(container.get("env", ()))),
        mounts=tuple(each["mountPath"] for each in container.get("volumeMounts", ())),
        probes={
            kind: _probe(kind, container[f"{kind}Probe"], ports)
            for kind in KINDS
            if f"{kind}Probe" in container
        },
    )


def _strategy(spec: Mapping[str, Any], replicas: int | None) -> Strategy:
    strategy = spec.get("strategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        raise RolloutError(
            f"expected the strategy RollingUpdate, got {strategy['type']}"
        )
    rules = strategy.get("rollingUpdate") or {}
    count = replicas or spec.get("replicas", 1)
    surge = _share(rules.get("maxSurge", "25%"), count, is_up=True)
    unavailable = _share(rules.get("maxUnavailable", "25%"), count, is_up=False)
    return Strategy(
        count,
        surge,
        unavailable if surge or unavailable else 1,
        spec.get("minReadySeconds", 0),
        spec.get("progressDeadlineSeconds", 600),
    )


def _share(given: int | str, replicas: int, *, is_up: bool) -> int:
    """Count what is a number or a percentage of the replicas."""
    if isinstance(given, int):
        return given
    exact = replicas * int(given.removesuffix("%")) / 100
    return math.ceil(exact) if is_up else math.floor(exact)


def _variables(given: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    for each in given:
        if "valueFrom" in each:
            raise RolloutError(f"{each['name']} has valueFrom, which is not played")
        yield each["name"], str(each.get("value", ""))


def _probe(
    kind: str, given: Mapping[str, Any], ports: Mapping[str | None, int]
) -> Probe:
    if "httpGet" not in given:
        raise RolloutError(f"expected httpGet in {kind}Probe, got {', '.join(given)}")
    http = given["httpGet"]
    port = ports.get(http["port"], http["port"])
    if port not in ports.values():
        raise RolloutError(f"{kind}Probe asks port {port}, which the container has not")
    numbers = {name: given[key] for key, name in _FIELDS.items() if key in given}
    return Probe(http.get("path", "/"), **numbers)


def _kind(document: object) -> str:
    return str(document.get("kind")) if isinstance(document, Mapping) else "no mapping"
