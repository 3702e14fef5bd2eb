"""Replicas that are killed under load."""

import asyncio
import os
import signal
from collections.abc import Mapping
from typing import Any, Final

from clustering.cluster import config, running
from clustering.load import Record, known, under_load
from clustering.scene import Scene, finding, model_folder, requests
from faulting.findings import Finding

_CONNECTIONS: Final = 8
_PAUSE_SECONDS: Final = 3.0
_AGAIN_SECONDS: Final = 120.0


def faults(scene: Scene) -> list[Finding]:
    """Kill a replica, again and again."""
    models = [model_folder(scene.folder, 1)]
    scene.cluster.deploy(config(scene.replicas, {"models": models}, {}))
    return [asyncio.run(_kills(scene))]


async def _kills(scene: Scene) -> Finding:
    cluster = scene.cluster
    questions = [await known(cluster.port, each, "1") for each in requests()]
    seconds: list[float] = []

    async def kill(record: Record) -> None:
        for number in range(scene.kills):
            scene.show(f"faults: kill {number + 1} of {scene.kills}")
            await asyncio.sleep(_PAUSE_SECONDS)
            victim = cluster.replicas()[0]
            os.kill(victim.pid, signal.SIGKILL)
            seconds.append(await asyncio.to_thread(_until_replaced, scene, victim.name))
        await asyncio.sleep(_PAUSE_SECONDS)

    record = await under_load(cluster.port, questions, _CONNECTIONS, kill)
    found = finding(f"kill -9 of a replica of {scene.replicas}", record)
    taken = ", ".join(f"{each:.0f}" for each in seconds)
    found.note = f"killed {scene.kills} times; all replicas were back after {taken} s"
    found.require("wrong = 0", record.wrong, not record.wrong)
    found.require(
        "each refused request succeeds when sent again",
        f"{record.unanswered} of {record.refused.total()} did not",
        not record.unanswered,
    )
    return found


def _until_replaced(scene: Scene, victim: str) -> float:
    """Wait until there are as many replicas as before, without the one that is gone."""

    def is_back(told: Mapping[str, Any]) -> bool:
        names = [each.name for each in running(told)]
        return len(names) == scene.replicas and victim not in names

    return scene.cluster.wait(is_back, "has all replicas", _AGAIN_SECONDS)
