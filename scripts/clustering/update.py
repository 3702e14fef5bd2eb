"""Models that are replaced under load, good ones and bad ones; and new code."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from time import monotonic
from typing import Any, Final

import httpx

from benchmark.servers import resident_bytes
from clustering.cluster import START_SECONDS, config, running
from clustering.load import Question, Record, either, known, under_load
from clustering.scene import (
    MODEL_BYTES,
    Scene,
    finding,
    model_folder,
    requests,
)
from faulting.findings import Finding

_CONNECTIONS: Final = 4
_PROBES: Final = 20
_NOT_SERVED: Final = "the new user_config is not served"
_MOST_MODELS: Final = 3
_MIB: Final = 2**20


def update(scene: Scene) -> list[Finding]:
    """Update the models, then with configs that cannot be served, then the code."""
    folders = [model_folder(scene.folder, version) for version in (1, 2)]
    return asyncio.run(_update(scene, folders))


async def _update(scene: Scene, folders: Sequence[str]) -> list[Finding]:
    rights = [await _learn(scene, folder) for folder in reversed(folders)]
    second, first = rights
    questions = [either(pair) for pair in zip(first, second, strict=True)]
    return [
        await _models(scene, folders, questions),
        await _bad(scene, folders[0], first),
        await _code(scene, folders[0], first),
    ]


async def _learn(scene: Scene, folder: str) -> list[Question]:
    await asyncio.to_thread(scene.cluster.deploy, _config(scene, [folder]))
    which = Path(folder).parent.name
    return [await known(scene.cluster.port, each, which) for each in requests()]


def _config(scene: Scene, models: Sequence[str], **more: Any) -> dict[str, Any]:
    return config(scene.replicas, {"models": list(models), **more}, {})


async def _models(
    scene: Scene, folders: Sequence[str], questions: Sequence[Question]
) -> Finding:
    cluster = scene.cluster
    pids = [each.pid for each in cluster.replicas()]
    late, sizes = 0, list[float]()

    async def swap(record: Record) -> None:
        nonlocal late
        for number in range(scene.updates):
            scene.show(f"update: {number + 1} of {scene.updates}")
            folder = folders[(number + 1) % 2]
            await asyncio.to_thread(cluster.deploy, _config(scene, [folder]))
            finished = monotonic()
            await asyncio.sleep(1)
            which = Path(folder).parent.name
            late += sum(t > finished and w != which for t, w in record.orders)
            record.orders.clear()
            sizes.append(fmean(map(resident_bytes, pids)))

    record = await under_load(cluster.port, questions, _CONNECTIONS, swap)
    found = finding("update of the models", record)
    versions = ", ".join(f"{n:,} of version {v}" for v, n in record.right.items())
    told = " ".join(f"{each / _MIB:.0f}" for each in sizes)
    found.note = (
        f"{scene.updates} times; {versions}; MiB of a replica after each, with a model "
        f"of {MODEL_BYTES / _MIB:.0f}: {told}"
    )
    found.require_unharmed()
    found.require("old answers to what was asked after the update = 0", late, not late)
    same = [each.pid for each in cluster.replicas()] == pids
    found.require("no replica was replaced", "so" if same else "some were", same)
    half = len(sizes) // 2
    if half:
        growth = max(sizes[half:]) - max(sizes[:half])
        found.require(
            f"memory of the second half grows by less than {_MOST_MODELS} models",
            f"{growth / _MIB:+.0f} MiB",
            growth < _MOST_MODELS * MODEL_BYTES,
        )
    return found


async def _bad(scene: Scene, good: str, questions: Sequence[Question]) -> Finding:
    cluster = scene.cluster
    await asyncio.to_thread(cluster.deploy, _config(scene, [good]))
    before = cluster.replicas()
    damaged = scene.folder / "damaged.safetensors"
    damaged.write_bytes(b"\xff" * 100)
    configs = {
        "a missing file": _config(scene, [str(scene.folder / "missing.safetensors")]),
        "a damaged file": _config(scene, [str(damaged)]),
        "a key with a typo": _config(scene, [good], modles=[good]),
        "a wrong type": _config(scene, [good], activation=1),
    }

    async def spoil(_: Record) -> None:
        for number, (name, bad) in enumerate(configs.items(), 1):
            scene.show(f"update: {name}")
            cluster.begin(bad)
            told = partial(_has_refused, scene, number)
            await asyncio.to_thread(cluster.wait, told, "says why", START_SECONDS)

    record = await under_load(cluster.port, questions, _CONNECTIONS, spoil)
    found = finding("update to what cannot be served", record)
    found.note = f"{', '.join(configs)}: each replica logs that it is not served"
    found.require_unharmed()
    same = cluster.replicas() == before
    found.require("the same replicas serve on", "so" if same else "others", same)
    answers = [httpx.get(f"{cluster.url}/readyz").text for _ in range(_PROBES)]
    telling = sum(_NOT_SERVED in each for each in answers)
    found.require(f"/readyz tells it {_PROBES} times", telling, telling == _PROBES)
    return found


def _has_refused(scene: Scene, configs: int, _: object) -> bool:
    return scene.cluster.logged(_NOT_SERVED) >= configs * scene.replicas


async def _code(scene: Scene, good: str, questions: Sequence[Question]) -> Finding:
    cluster = scene.cluster
    await asyncio.to_thread(cluster.deploy, _config(scene, [good]))
    before = {each.name for each in cluster.replicas()}
    other = config(scene.replicas, {"models": [good]}, {"timeout_seconds": 20})

    def is_over(told: Mapping[str, Any]) -> bool:
        names = {each.name for each in running(told)}
        return len(names) == scene.replicas and not names & before

    async def roll(_: Record) -> None:
        scene.show("update: new settings")
        cluster.begin(other)
        await asyncio.to_thread(cluster.wait, is_over, "is new", START_SECONDS)

    start = monotonic()
    record = await under_load(cluster.port, questions, _CONNECTIONS, roll)
    found = finding("new settings, thus new replicas", record)
    found.note = f"all were replaced in {monotonic() - start:.0f} s"
    found.require_unharmed()
    return found
