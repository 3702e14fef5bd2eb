"""How many rows a core computes in a second, for kinds of requests."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson

from benchmark import wrk
from benchmark.client import Connection, Request
from benchmark.payloads import large_classifier, write_checkpoint
from benchmark.programs import ours
from benchmark.servers import Program, Server, cpu_seconds, on_all_cores, running
from simulating.kinds import LARGE, SHIPPED, Kind, kinds_of

WAYS: Final[Mapping[str, bool]] = {"pinned": True, "as started": False}
_WARM_UP_SECONDS: Final = 1
Show = Callable[[str], None]
Figures = dict[str, dict[str, Any]]


def measure(
    kinds: Mapping[str, Kind],
    files: Mapping[str, Sequence[Path]],
    rounds: int,
    seconds: int,
    show: Show,
) -> dict[str, Any]:
    """Measure the capacity and the CPU time of kinds of requests.

    Args:
        kinds: By name.
        files: By server, the checkpoints that it serves; none for those shipped.
        rounds: How often; all kinds take turns.
        seconds: Of each pass.
        show: Is told what is measured.

    Returns:
        `kinds`: by name and way, a list of each quantity; `start seconds`: by way.
    """
    figures: Figures = {}
    starts: dict[str, list[float]] = {}
    for number in range(rounds):
        for way, is_pinned in WAYS.items():
            for served, checkpoints in files.items():
                asked = {
                    name: kind for name, kind in kinds.items() if kind.served == served
                }
                program = replace(ours(checkpoints), is_pinned=is_pinned)
                with _placed(is_pinned), running(program) as server:
                    starts.setdefault(way, []).append(server.start_seconds)
                    for name, kind in asked.items():
                        show(f"round {number + 1} of {rounds}, {way}: {kind.shown}")
                        found = _pass(program, server, kind, seconds)
                        for quantity, value in found.items():
                            by_way = figures.setdefault(name, {}).setdefault(way, {})
                            by_way.setdefault(quantity, []).append(value)
    return {
        "kinds": {
            name: {"shown": kind.shown, "rows": kind.rows, **figures[name]}
            for name, kind in kinds.items()
        },
        "start seconds": starts,
    }


def shipped_files(folder: Path) -> dict[str, list[Path]]:
    """Write the large network; name what each server serves."""
    large = write_checkpoint(folder / "large.pt", large_classifier())
    return {SHIPPED: [], LARGE: [large]}


def kinds_of_checkpoint(checkpoint: Path) -> dict[str, Kind]:
    """Ask a server of a checkpoint how many features it has; list its kinds."""
    with (
        running(ours([checkpoint])) as server,
        closing(Connection(server.port)) as connection,
    ):
        name = _asked(connection, "/models")["models"][0]["name"]
        card = _asked(connection, f"/models/{name}")
    return kinds_of(name, card["features"])


def _asked(connection: Connection, path: str) -> Any:
    connection.ask(Request("GET", path).message())
    return orjson.loads(connection.body())


def _pass(
    program: Program, server: Server, kind: Kind, seconds: int
) -> dict[str, float]:
    request, cores = kind.make(), program.load_cores
    wrk.run(server.port, request, kind.connections, _WARM_UP_SECONDS, cores)
    before = cpu_seconds(server.pid)
    load = wrk.run(server.port, request, kind.connections, seconds, cores)
    used = cpu_seconds(server.pid) - before
    return {
        "requests per second": load.rate,
        "CPU seconds per request": used / load.requests,
    }


@contextmanager
def _placed(is_pinned: bool) -> Iterator[None]:
    """Let this process use the cores that its load may use."""
    with ExitStack() as stack:
        if not is_pinned:
            stack.enter_context(on_all_cores())
        yield
