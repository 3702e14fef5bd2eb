"""Checkpoints that are exchanged under load, good ones and bad ones."""

import asyncio
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Final, NamedTuple

from benchmark.client import Request
from benchmark.payloads import Task
from benchmark.servers import resident_bytes
from faulting.bodies import network, predict, written
from faulting.client import Lost, ask_once
from faulting.damage import DAMAGES, Damage
from faulting.findings import Finding
from faulting.load import Tally, closed_loop, problem_code
from faulting.scene import Scene
from faulting.server import AdminKey, Server, serving

_MODEL: Final = "swapped"
_ROWS: Final = (1, 16, 400)
_CONNECTIONS: Final = 12
_BAD_SWAP_SECONDS: Final = 0.3
_VERSION: Final = re.compile(rb'"version":"(\d+)"')
_MIB: Final = 2**20


class _Stage(NamedTuple):
    """A server of one model, and what may take its place.

    Attributes:
        server: Serves version 1, which is the first of `files`.
        model: Folder of the versions.
        files: Two checkpoints of the same shape.
        key: May reload.
    """

    server: Server
    model: Path
    files: tuple[Path, Path]
    key: AdminKey


class _Question(NamedTuple):
    """A request, and the right body by the checkpoint, without the version."""

    request: Request
    rights: tuple[bytes, bytes]

    def task(self) -> Task:
        """Ask while either of them may answer."""
        return Task(self.request, lambda body: _unversioned(body) in self.rights)


def swaps(scene: Scene) -> list[Finding]:
    """Swap again and again; with one worker, and with two."""
    findings = []
    for workers, count in ((1, scene.swaps), (2, max(2, scene.swaps // 5))):
        with _staged(scene.folder / f"swaps{workers}", workers) as stage:
            name = f"swaps, workers: {workers}"
            findings.append(asyncio.run(_swaps(name, scene, stage, count)))
    return findings


async def _swaps(name: str, scene: Scene, stage: _Stage, count: int) -> Finding:
    finding = Finding(name, Tally())
    server, stop = stage.server, asyncio.Event()
    questions = await _questions(stage)
    load = asyncio.create_task(
        closed_loop(
            server.port,
            [question.task() for question in questions],
            _CONNECTIONS,
            stop,
            finding.tally,
        )
    )
    processes = list(server.workers().values()) or [server.pid]
    start, faults, early = perf_counter(), list[str](), 0
    for number in range(count):
        scene.show(f"{name}: {number} of {count}")
        which = (number + 1) % 2
        version = _put(stage, which, as_new=number % 2 == 1)
        question = questions[number % len(questions)]
        try:
            fault = await _reload(stage, version) or await _fault_after(
                stage, question, which, version
            )
        except Lost as loss:
            fault = str(loss)
        if fault:
            faults.append(f"swap {number}: {fault}")
        if number == count // 5:
            early = sum(map(resident_bytes, processes))
    seconds = perf_counter() - start
    growth = sum(map(resident_bytes, processes)) - early
    stop.set()
    await load
    finding.note = (
        f"{count:,} swaps in {seconds:.0f} s; memory after the first fifth of them "
        f"{early / _MIB:.0f} MiB, since then {growth / _MIB:+.1f} MiB"
    )
    said = f"{len(faults)}; {faults[0]}" if faults else "0"
    finding.require("swaps that failed = 0", said, not faults)
    _require_all_right(finding, server)
    return finding


def bad_swaps(scene: Scene) -> list[Finding]:
    """Put bad files in the place of a good one."""
    scene.show("bad-swaps")
    findings = []
    for workers in (1, 2):
        with _staged(scene.folder / f"bad{workers}", workers) as stage:
            name = f"bad-swaps, workers: {workers}"
            findings.append(asyncio.run(_bad_swaps(name, stage)))
    return findings


async def _bad_swaps(name: str, stage: _Stage) -> Finding:
    finding = Finding(name, Tally(), note=f"{len(DAMAGES)} kinds of bad files")
    server, stop = stage.server, asyncio.Event()
    questions = await _questions(stage)
    # Only the first checkpoint may answer: the second is never put in place whole.
    tasks = [_Question(q.request, (q.rights[0],) * 2).task() for q in questions]
    load = asyncio.create_task(
        closed_loop(server.port, tasks, _CONNECTIONS, stop, finding.tally)
    )
    faults = []
    for damage in DAMAGES:
        for as_new in (False, True):
            fault = await _unlike_refusal(stage, damage, as_new)
            if fault:
                manner = "as a new version" if as_new else "as the same version"
                faults.append(f"{damage.name}, {manner}: {fault}")
            await asyncio.sleep(_BAD_SWAP_SECONDS)
    finding.require(
        "each is refused as not_ready, naming why, and the old one serves on",
        "; ".join(faults) or "so",
        not faults,
    )
    last = await _reload(stage, 1)
    finding.require("the good file is taken again", last or "so", not last)
    stop.set()
    await load
    _require_all_right(finding, server)
    return finding


async def _unlike_refusal(stage: _Stage, damage: Damage, as_new: bool) -> str:
    """Put a bad file in place, reload, and put things right again.

    Returns:
        What the reload answered where it was not refused as it should be, else an
        empty text.
    """
    folder = stage.model / ("2" if as_new else "1")
    folder.mkdir(exist_ok=True)
    path = folder / "model.safetensors"
    damage.make(stage.files[1], path)
    answer = await stage.key.reload(stage.server.port, _MODEL)
    said = answer.body.decode(errors="replace")
    version = await _version(stage)
    if as_new:
        shutil.rmtree(folder)
    else:
        _replace(stage.files[0], path)
    is_refused = (answer.status, problem_code(answer)) == (503, "not_ready")
    if is_refused and re.search(damage.named, said) and version == 1:
        return ""
    return f"{answer.status} {said[:300]}; version {version} answers"


def _require_all_right(finding: Finding, server: Server) -> None:
    finding.require_unharmed()
    finding.require_no_surprise(server)


@contextmanager
def _staged(folder: Path, workers: int) -> Iterator[_Stage]:
    root = folder / "models"
    first, second = (
        written(folder / f"{seed}.safetensors", network(seed)) for seed in (0, 1)
    )
    place = root / _MODEL / "1" / "model.safetensors"
    place.parent.mkdir(parents=True)
    _replace(first, place)
    key = AdminKey(folder)
    with serving([root], workers=workers, api_keys_file=key.path) as server:
        yield _Stage(server, root / _MODEL, (first, second), key)


def _put(stage: _Stage, which: int, as_new: bool) -> int:
    """Put a checkpoint in place; return its version, the only one that is there."""
    old = max((folder for folder in stage.model.iterdir()), key=lambda f: int(f.name))
    if not as_new:
        _replace(stage.files[which], old / "model.safetensors")
        return int(old.name)
    version = int(old.name) + 1
    # Hidden folders are passed over.
    folder = stage.model / f".{version}"
    folder.mkdir()
    shutil.copy(stage.files[which], folder / "model.safetensors")
    folder.rename(stage.model / str(version))
    shutil.rmtree(old)
    return version


def _replace(source: Path, place: Path) -> None:
    temporary = place.with_name(".new")
    shutil.copy(source, temporary)
    os.replace(temporary, place)


async def _reload(stage: _Stage, version: int) -> str:
    """Reload; return what is wrong, or an empty text."""
    answer = await stage.key.reload(stage.server.port, _MODEL)
    said = b'"version":"%d"' % version in answer.body
    return "" if answer.status == 200 and said else repr(answer.body)


async def _fault_after(
    stage: _Stage, question: _Question, which: int, version: int
) -> str:
    """Ask after a swap: only the new checkpoint may answer, in whichever worker."""
    answer = await ask_once(stage.server.port, question.request)
    body = answer.body
    if _unversioned(body) != question.rights[which]:
        return f"the old one answers: {answer.status} {body[:80]!r}"
    found = _VERSION.search(body)
    if found is None or int(found[1]) != version:
        return f"another version than {version} answers: {body[:80]!r}"
    return ""


async def _version(stage: _Stage) -> int:
    answer = await ask_once(
        stage.server.port, predict(_MODEL, 1, headers=(stage.key.header,))
    )
    found = _VERSION.search(answer.body)
    return int(found[1]) if found else -1


async def _questions(stage: _Stage) -> list[_Question]:
    """Learn the right answers of both checkpoints; the first then serves again."""
    requests = [
        predict(_MODEL, rows, seed, (stage.key.header,))
        for seed, rows in enumerate(_ROWS)
    ]
    rights: list[list[bytes]] = []
    for which in (1, 0):
        _replace(stage.files[which], stage.model / "1" / "model.safetensors")
        await _reload(stage, 1)
        rights.append([await _right(stage, request) for request in requests])
    return [
        _Question(request, (first, second))
        for request, second, first in zip(requests, *rights, strict=True)
    ]


async def _right(stage: _Stage, request: Request) -> bytes:
    answer = await ask_once(stage.server.port, request)
    return _unversioned(answer.body)


def _unversioned(body: bytes) -> bytes:
    return _VERSION.sub(b"", body, count=1)
