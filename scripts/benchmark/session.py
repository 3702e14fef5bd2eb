"""What the workloads share: the servers of a round, and how a pass is timed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TypeVar

from benchmark.client import Connection
from benchmark.figures import Figures, Key, add
from benchmark.payloads import Task, asked
from benchmark.programs import OURS
from benchmark.servers import Program, Server, running
from benchmark.trees import INSTALLED, Tree

MINIMUM_REQUESTS = 3

Item = TypeVar("Item")


@dataclass(frozen=True)
class Session:
    """One round of the benchmark.

    Attributes:
        programs: The servers to compare, by name.
        folder: For files of the round.
        seconds: Length of a timed pass.
        number: Of the round, from 0 on.
        show: Tells the user what is going on.
        figures: Where the results go.
        trees: The packages that serve models of a workload's own, by the name of the
            program.
        peer_python: By package of a peer, the interpreter that has it.
        device: What the workload of the GPU computes on.
    """

    programs: Mapping[str, Program]
    folder: Path
    seconds: int
    number: int
    show: Callable[[str], None]
    figures: Figures
    trees: Mapping[str, Tree] = field(default_factory=lambda: {OURS: INSTALLED})
    peer_python: Mapping[str, str] = field(default_factory=dict)
    device: str = "cuda"

    def record(self, workload: str, case: object, server: str, **values: float) -> None:
        """Add figures by quantity; in a quantity's name, `_` stands for a space."""
        for quantity, value in values.items():
            key = Key(workload, str(case), server, quantity.replace("_", " "))
            add(self.figures, key, value)

    def in_turn(self, *names: str) -> list[Program]:
        """List programs (all, by default), another one first in each round.

        Args:
            names: Of programs; those that do not take part are left out.
        """
        taking_part = [name for name in names or self.programs if name in self.programs]
        return self.turned([self.programs[name] for name in taking_part])

    def turned(self, items: Sequence[Item]) -> list[Item]:
        """Put another item first in each round."""
        first = self.number % len(items)
        return [*items[first:], *items[:first]]


@contextmanager
def all_running(
    session: Session, programs: list[Program]
) -> Iterator[list[tuple[Program, Server]]]:
    """Start servers afresh and keep all of them; the idle ones cost next to nothing."""
    with ExitStack() as stack:
        servers = []
        for program in programs:
            session.show(f"start {program.name}")
            servers.append((program, stack.enter_context(running(program))))
        yield servers


def once(server: Server, task: Task) -> bytes:
    """Ask a server once, on a connection of its own; return the answer, checked."""
    with closing(Connection(server.port)) as connection:
        return asked(connection, task)


def timed(server: Server, task: Task, seconds: float) -> float:
    """Ask one request at a time for some seconds, after a checked one.

    Returns:
        The median of the seconds that an answer took.
    """
    message = task.request.message()
    taken: list[float] = []
    with closing(Connection(server.port)) as connection:
        asked(connection, task)
        end = perf_counter() + seconds
        while perf_counter() < end or len(taken) < MINIMUM_REQUESTS:
            taken.append(connection.ask(message))
    return median(taken)
