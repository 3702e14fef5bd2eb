"""Pods behind a service: replaced by the rules of a Deployment, seen with a lag."""

import asyncio
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Final, NamedTuple

from rolling import RolloutError
from rolling.kubelet import Pod, Template, keep
from rolling.manifest import Strategy

# Below those that the system chooses for clients, none of which may take a pod's port.
_PORTS: Final = range(20_000, 30_000)
_LOOK_SECONDS: Final = 0.05


class Step(NamedTuple):
    """What is done next: how many pods are created, and how many old ones deleted."""

    create: int
    delete: int


def step(old: int, new: int, available: int, strategy: Strategy) -> Step:
    """Choose the next step of a rolling restart.

    Source:
        https://kubernetes.io/docs/concepts/workloads/controllers/deployment/,
        rolling update.

    Args:
        old: Pods to be replaced, without those that terminate.
        new: Pods that replace them.
        available: How many of both are available.
        strategy: The rules.
    """
    most = strategy.replicas + strategy.surge
    create = max(0, min(strategy.replicas - new, most - old - new))
    spare = available - (strategy.replicas - strategy.unavailable)
    return Step(create, max(0, min(old, spare)))


class Endpoints:
    """The ports that clients believe in, in turns; changes arrive with a lag.

    Args:
        lag: Seconds.

    Attributes:
        believed: Ports of 127.0.0.1.
    """

    def __init__(self, lag: float) -> None:
        self.believed: tuple[int, ...] = ()
        self._lag = lag
        self._turns = count()

    def publish(self, ports: tuple[int, ...]) -> None:
        """Say which there are from now on."""
        asyncio.get_running_loop().call_later(self._lag, self._learn, ports)

    def next(self) -> int:
        """Return the port whose turn it is; may be called from any thread.

        Raises:
            ConnectionRefusedError: There is none; kube-proxy rejects clients then.
        """
        believed = self.believed
        if not believed:
            raise ConnectionRefusedError("the service has no endpoints")
        return believed[next(self._turns) % len(believed)]

    def _learn(self, ports: tuple[int, ...]) -> None:
        self.believed = ports


@dataclass
class Cluster:
    """A Deployment and its service.

    Attributes:
        template: What a pod is made of.
        endpoints: As clients see them.
        pods: All that ever were.
    """

    template: Template
    endpoints: Endpoints
    pods: list[Pod] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _ports: Iterator[int] = field(
        default_factory=lambda: iter(random.sample(_PORTS, len(_PORTS)))
    )

    async def roll(self) -> None:
        """Replace all pods by new ones; the first time there are none to be replaced.

        Raises:
            RolloutError: It takes too long.
        """
        strategy = self.template.deployment.strategy
        old = [pod for pod in self.pods if not pod.deleted.is_set()]
        new: list[Pod] = []
        try:
            async with asyncio.timeout(strategy.progress_seconds):
                while old or self._available(new) < strategy.replicas:
                    available = self._available(old + new)
                    todo = step(len(old), len(new), available, strategy)
                    new += [self._create() for _ in range(todo.create)]
                    for pod in old[: todo.delete]:
                        pod.deleted.set()
                    old = old[todo.delete :]
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            faults = [fault for pod in new for fault in pod.faults]
            said = f"the first fault: {faults[0]}" if faults else "no pod had a fault"
            raise RolloutError(
                f"the restart took more than {strategy.progress_seconds:g} s "
                f"(progressDeadlineSeconds); {said}"
            ) from None

    def phase(self, port: int) -> str:
        """Say in which phase of its life the pod of a port is; from any thread."""
        phases = (pod.phase() for pod in self.pods if pod.port == port)
        return next(phases, "no pod was asked")

    async def end(self) -> None:
        """Delete all pods, and wait until they have ended."""
        for pod in self.pods:
            pod.deleted.set()
        if self._tasks:
            await asyncio.gather(*self._tasks)

    async def stop(self) -> None:
        """Kill what is left."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _create(self) -> Pod:
        pod = Pod(len(self.pods) + 1, self._free_port())
        self.pods.append(pod)
        task = asyncio.create_task(keep(pod, self.template, self._publish))
        self._tasks.add(task)
        return pod

    def _available(self, pods: list[Pod]) -> int:
        now = monotonic()
        seconds = self.template.deployment.strategy.min_ready_seconds
        return sum(pod.is_available(now, seconds) for pod in pods)

    def _publish(self) -> None:
        self.endpoints.publish(tuple(pod.port for pod in self.pods if pod.is_ready))

    def _free_port(self) -> int:
        """Find a port that no pod has had: no client may take one for another."""
        for port in self._ports:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)):
                    return port
        raise RolloutError(f"no port of {_PORTS.start} to {_PORTS.stop} is free")
