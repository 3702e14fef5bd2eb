"""Replicas by the load: from one to two and back; and more load than they take."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np

from clustering.cluster import config, running
from clustering.load import Question, Record, known, under_load
from clustering.scene import MODEL, Scene, finding, model_folder, requests
from faulting.bodies import FEATURES
from faulting.findings import Finding
from sigmoid_serve.client import Client

_SCALED_SECONDS: Final = 180.0
_BUSY_SECONDS: Final = 5.0
_CLIENTS: Final = 12
_CALLS: Final = 5
_SHORT: Final = {
    "upscale_delay_s": 1,
    "downscale_delay_s": 3,
    "metrics_interval_s": 1,
    "look_back_period_s": 2,
}


def scale(scene: Scene) -> list[Finding]:
    """Scale by load; then ask for more than may wait."""
    models = [model_folder(scene.folder, 1)]
    scaled = {"min_replicas": 1, "max_replicas": 2, "target_ongoing_requests": 2}
    scene.cluster.deploy(config({**scaled, **_SHORT}, {"models": models}, {}))
    findings = [asyncio.run(_scale(scene))]
    narrow = config(
        1, {"models": models}, {}, max_ongoing_requests=2, max_queued_requests=2
    )
    scene.cluster.deploy(narrow)
    findings.append(asyncio.run(_overload(scene)))
    return findings


async def _questions(scene: Scene) -> list[Question]:
    return [await known(scene.cluster.port, each, "1") for each in requests()]


async def _scale(scene: Scene) -> Finding:
    cluster, questions = scene.cluster, await _questions(scene)
    seconds, worked = list[float](), list[float]()

    async def until(number: int) -> None:
        scene.show(f"scale: to {number}")
        seconds.append(
            await asyncio.to_thread(
                cluster.wait,
                lambda told: len(running(told)) == number,
                f"has {number} replicas",
                _SCALED_SECONDS,
            )
        )

    async def up(_: Record) -> None:
        await until(2)
        pids = [each.pid for each in cluster.replicas()]
        before = [_cpu_seconds(pid) for pid in pids]
        await asyncio.sleep(_BUSY_SECONDS)
        worked.extend(_cpu_seconds(p) - t for p, t in zip(pids, before, strict=True))

    loaded = await under_load(cluster.port, questions, _CLIENTS, up)
    idle = await under_load(cluster.port, questions[:1], 1, lambda _: until(1))
    found = finding("from 1 replica to 2 and back", loaded)
    found.tally += finding("", idle).tally
    found.note = f"2 after {seconds[0]:.0f} s of load, 1 after {seconds[1]:.0f} s more"
    found.require_unharmed()
    told = ", ".join(f"{each:.1f}" for each in worked)
    found.require("both compute", f"CPU seconds {told}", min(worked) > 0.1)
    return found


def _cpu_seconds(pid: int) -> float:
    """Read how long a process has computed; see proc(5), `/proc/pid/stat`."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


async def _overload(scene: Scene) -> Finding:
    scene.show("scale: too much load")
    cluster, questions = scene.cluster, await _questions(scene)
    record = await under_load(
        cluster.port, questions, _CLIENTS, lambda _: asyncio.sleep(_BUSY_SECONDS)
    )
    found = finding("more than may wait", record)
    refused = record.refused["429 with Retry-After"]
    others = record.refused.total() - refused
    found.require(
        "refused only with 429 and Retry-After", f"{others} others", not others
    )
    found.require("some are", refused, refused > 0)
    found.require("wrong = 0", record.wrong, not record.wrong)
    found.require("never answered = 0", record.unanswered, not record.unanswered)
    with ThreadPoolExecutor(_CLIENTS) as pool:
        calls = pool.map(_call, [cluster.url] * _CLIENTS)
        failures = [text for text in calls if text]
    told = failures[0][:200] if failures else "0"
    found.require("the Python client fails = 0", told, not failures)
    return found


def _call(url: str) -> str:
    """Call with the Python client; return what failed."""
    rows = np.zeros((1, FEATURES))
    try:
        with Client(url, model=MODEL) as client:
            for _ in range(_CALLS):
                client.predict(rows)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""
