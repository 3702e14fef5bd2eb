"""Plays rolling restarts of a Deployment under load."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rolling.clients import Load, ask_all
from rolling.cluster import Cluster, Endpoints
from rolling.kubelet import Template
from rolling.questions import questions
from rolling.report import Run

# Between restarts, so that the load meets pods that nothing happens to.
_QUIET_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Play:
    """What is played.

    Attributes:
        template: What pods are made of.
        headers: What clients send beyond what a request needs.
        restarts: How many, one after the other.
        lag: Seconds until clients know of a change of the endpoints.
        show: Tells the user what is going on.
    """

    template: Template
    headers: Sequence[tuple[str, str]]
    restarts: int
    lag: float
    show: Callable[[str], None]


async def play(given: Play) -> Run:
    """Start the pods, then the load; restart them under it; end both.

    Raises:
        RolloutError: A rolling restart takes too long.
        FaultError: A quiet pod does not answer.
    """
    cluster = Cluster(given.template, Endpoints(given.lag))
    try:
        given.show("starting the pods")
        await cluster.roll()
        tasks = await questions(cluster.pods[0].port, given.headers)
        await asyncio.sleep(given.lag + _QUIET_SECONDS)
        load = Load(cluster.endpoints, tasks, asyncio.Event())
        asking = asyncio.create_task(ask_all(load, cluster.phase))
        try:
            for number in range(given.restarts):
                given.show(f"rolling restart {number + 1} of {given.restarts}")
                await asyncio.sleep(_QUIET_SECONDS)
                await cluster.roll()
            await asyncio.sleep(given.lag + _QUIET_SECONDS)
        finally:
            load.stop.set()
            records = await asking
        given.show("ending the pods")
        await cluster.end()
    finally:
        await cluster.stop()
    return Run(given.restarts, cluster.pods, records, given.template.folder)


def logs(folder: Path) -> str:
    """Read what the first pod has said at last, for a run that has no end."""
    log = folder / "pod1.log"
    return log.read_text(errors="replace")[-1000:] if log.is_file() else ""
