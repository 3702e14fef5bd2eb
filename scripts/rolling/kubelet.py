"""A pod: its process, its probes, its end."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final

from rolling.manifest import Deployment, Probe
from rolling.probes import Count, answers, count

NEVER: Final = float("inf")

# Called when a pod becomes ready or unready, or is about to end.
Changed = Callable[[], None]


@dataclass(frozen=True)
class Template:
    """What a pod is made of.

    Attributes:
        deployment: As the manifest says.
        environment: All variables of the process.
        folder: For its logs, and where it runs.
    """

    deployment: Deployment
    environment: Mapping[str, str]
    folder: Path


@dataclass
class Pod:
    """A pod; times are those of the clock `monotonic`.

    Attributes:
        number: Counts the pods.
        port: Of 127.0.0.1.
        is_ready: By its readiness probe, and not terminating.
        ready_since: When it became so.
        began: When its container was started.
        ended: When it was told to end.
        start_seconds: From the start of the first container to ready.
        end_seconds: From SIGTERM to the exit.
        codes: Exit codes; minus the number of a signal.
        kills: How often the grace period was over.
        faults: Why its container was restarted, and how often it was unready.
        deleted: Set to have it end.
    """

    number: int
    port: int
    is_ready: bool = False
    ready_since: float = NEVER
    began: float = NEVER
    ended: float = NEVER
    start_seconds: float = 0.0
    end_seconds: float = 0.0
    codes: list[int] = field(default_factory=list)
    kills: int = 0
    faults: list[str] = field(default_factory=list)
    deleted: asyncio.Event = field(default_factory=asyncio.Event)

    def log(self, folder: Path) -> Path:
        """Name the file of what it says."""
        return folder / f"pod{self.number}.log"

    def is_available(self, now: float, min_ready_seconds: float) -> bool:
        """Tell whether it counts for the Deployment."""
        return self.is_ready and now - self.ready_since >= min_ready_seconds

    def phase(self) -> str:
        """Say in which phase of its life it is."""
        now = monotonic()
        if self.deleted.is_set():
            return f"pod {self.number}, {now - self.ended:.2f} s after SIGTERM"
        state = "ready" if self.is_ready else "not ready"
        return f"pod {self.number}, {now - self.began:.2f} s old and {state}"


async def keep(pod: Pod, template: Template, changed: Changed) -> None:
    """Run a pod's container, again where it fails, until the pod is deleted."""
    while not pod.deleted.is_set():
        process = await _start(pod, template)
        try:
            fault = await _watched(pod, process, template, changed)
            if fault:
                pod.faults.append(fault)
            _set_ready(pod, False, changed)
            await _end(pod, process, template.deployment.grace_seconds)
        finally:
            with suppress(ProcessLookupError):  # what is left of its session
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _start(pod: Pod, template: Template) -> asyncio.subprocess.Process:
    arguments = template.deployment.arguments
    address = ("--host", "127.0.0.1", "--port", str(pod.port))
    with pod.log(template.folder).open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sigmoid_serve", *arguments, *address),
            cwd=template.folder,
            env=dict(template.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for this program, which then ends it
        )
    pod.began = monotonic()
    return process


async def _watched(
    pod: Pod,
    process: asyncio.subprocess.Process,
    template: Template,
    changed: Changed,
) -> str:
    """Probe a container until it has to end; return why, or an empty text."""
    probing = asyncio.create_task(_probe(pod, template, changed))
    exiting = asyncio.create_task(process.wait())
    deleting = asyncio.create_task(pod.deleted.wait())
    tasks: Sequence[asyncio.Task[Any]] = (probing, exiting, deleting)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    if pod.deleted.is_set():
        return ""
    if process.returncode is not None:
        return f"its process exited with {process.returncode}"
    return probing.result()


async def _probe(pod: Pod, template: Template, changed: Changed) -> str:
    """Probe a container; return which probe has it restarted."""
    probes = template.deployment.probes
    has_waited = "startup" in probes
    if has_waited and not await _started(pod, probes["startup"]):
        return "startup probe failed"
    async with asyncio.TaskGroup() as group:
        ready = group.create_task(_tell_ready(pod, probes.get("readiness"), changed))
        fault = ""
        if "liveness" in probes:
            fault = await _failed(pod, probes["liveness"], is_at_once=not has_waited)
        else:
            await pod.deleted.wait()
        ready.cancel()
    return fault


async def _started(pod: Pod, probe: Probe) -> bool:
    counted = Count()
    async for is_success in answers(pod.port, probe, pod.began, is_at_once=True):
        counted = count(counted, is_success, probe)
        if counted.verdict is not None:
            break
    return counted.verdict is True


async def _failed(pod: Pod, probe: Probe, *, is_at_once: bool) -> str:
    counted = Count(verdict=True)
    ticks = answers(pod.port, probe, pod.began, is_at_once=is_at_once)
    async for is_success in ticks:
        counted = count(counted, is_success, probe)
        if not counted.verdict:
            break
    return "liveness probe failed"


async def _tell_ready(pod: Pod, probe: Probe | None, changed: Changed) -> None:
    if probe is None:
        _set_ready(pod, True, changed)
        await pod.deleted.wait()
        return
    counted = Count(verdict=False)
    async for is_success in answers(pod.port, probe, pod.began, is_at_once=True):
        counted = count(counted, is_success, probe)
        if pod.is_ready and not counted.verdict:
            pod.faults.append("readiness probe failed")
        _set_ready(pod, counted.verdict is True, changed)


def _set_ready(pod: Pod, is_ready: bool, changed: Changed) -> None:
    if pod.is_ready == is_ready:
        return
    now = monotonic()
    pod.is_ready, pod.ready_since = is_ready, now if is_ready else NEVER
    if is_ready and not pod.start_seconds:
        pod.start_seconds = now - pod.began
    changed()


async def _end(
    pod: Pod, process: asyncio.subprocess.Process, grace_seconds: float
) -> None:
    """Tell a container to end; kill it where it has not after the grace period."""
    pod.ended = monotonic()
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        pod.codes.append(await asyncio.wait_for(process.wait(), grace_seconds))
    except TimeoutError:
        pod.kills += 1
        with suppress(ProcessLookupError):
            process.kill()
        pod.codes.append(await process.wait())
    pod.end_seconds = max(pod.end_seconds, monotonic() - pod.ended)
