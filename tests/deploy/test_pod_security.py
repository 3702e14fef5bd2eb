"""No pod has more rights than the Pod Security Standard "restricted" allows."""

from collections.abc import Callable

import pytest

from tests.deploy.objects import DOCKERFILE, OBJECTS, PODS, Pod, Tree

# https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, with
# what it takes over from "baseline". Each is asked of the pod's spec, a container, and
# the container's context, in which what it does not say is taken from the pod's.
RULES: dict[str, Callable[[Tree, Tree, Tree], bool]] = {
    "host namespaces": lambda pod, _, __: (
        not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & pod.keys()
    ),
    "host ports": lambda _, container, __: (
        not any("hostPort" in port for port in container.get("ports", ()))
    ),
    "privileged containers": lambda _, __, context: not context.get("privileged"),
    "host probes": lambda _, container, __: (
        not any("host" in handler for handler in handlers(container))
    ),
    "SELinux, AppArmor, /proc, sysctls, Windows": lambda _, __, context: (
        not {
            "seLinuxOptions",
            "appArmorProfile",
            "procMount",
            "sysctls",
            "windowsOptions",
        }
        & context.keys()
    ),
    "volume types": lambda pod, _, __: all(
        volume.keys() - {"name"}
        <= {
            *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"),
            *("persistentVolumeClaim", "projected", "secret"),
        }
        for volume in pod.get("volumes", ())
    ),
    "privilege escalation": lambda _, __, context: (
        context["allowPrivilegeEscalation"] is False
    ),
    "running as non-root": lambda _, __, context: context["runAsNonRoot"] is True,
    "running as non-root user": lambda _, __, context: context["runAsUser"] != 0,
    "seccomp": lambda _, __, context: (
        context["seccompProfile"]["type"] in ("RuntimeDefault", "Localhost")
    ),
    "capabilities": lambda _, __, context: (
        "ALL" in context["capabilities"]["drop"]
        and set(context["capabilities"].get("add", ())) <= {"NET_BIND_SERVICE"}
    ),
}


def handlers(container: Tree) -> list[Tree]:
    """List what its probes and hooks call."""
    probes = [v for k, v in container.items() if k.endswith("Probe")]
    hooks = container.get("lifecycle", {}).values()
    return [
        handler
        for each in (*probes, *hooks)
        for handler in each.values()
        if isinstance(handler, dict)
    ]


def context(pod: Pod, own: Tree) -> Tree:
    return {**pod.spec.get("securityContext", {}), **own}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("pod", PODS.values(), ids=str)
def test_every_pod_is_restricted(pod: Pod, rule: str) -> None:
    container = pod.container
    assert "initContainers" not in pod.spec
    own = context(pod, container["securityContext"])
    assert RULES[rule](pod.spec, container, own)


@pytest.mark.parametrize("rule", RULES)
def test_the_autoscaler_beside_the_head_of_ray_is_restricted(rule: str) -> None:
    """KubeRay adds it, and takes its rights from what is said of it."""
    cluster = OBJECTS["RayService sigmoid-serve"]["spec"]["rayClusterConfig"]
    container = cluster["autoscalerOptions"]
    own = context(PODS["ray-head"], container["securityContext"])
    assert RULES[rule](PODS["ray-head"].spec, container, own)


@pytest.mark.parametrize("pod", PODS.values(), ids=str)
def test_the_user_is_that_of_the_image_and_writes_nowhere_else(pod: Pod) -> None:
    own = context(pod, pod.container["securityContext"])
    user = own["runAsUser"]
    assert f"\nUSER {user}\n" in DOCKERFILE
    assert f"--uid {user} " in DOCKERFILE
    assert own["runAsGroup"] == own.get("fsGroup", user) == user
    assert own["readOnlyRootFilesystem"] is True
    if pod.name != "ray-head":  # its autoscaler asks Kubernetes for pods
        assert pod.spec.get("automountServiceAccountToken", False) is False
