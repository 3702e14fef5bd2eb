"""What became of the requests of a client."""

from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

_MOST_EXAMPLES: Final = 3


@dataclass
class Record:
    """The requests of the clients of one kind.

    Attributes:
        name: Of the kind.
        phase: Says in which phase of its life the pod of a port is.
        seconds: How long each right answer took, its connection included.
        failed: No right 200, by what came instead.
        wrong: Answers of 200 with another body than the right one.
        examples: The first failures, with the phase of the pod.
        ports: Those that answered rightly.
    """

    name: str
    phase: Callable[[int], str]
    seconds: "array[float]" = field(default_factory=lambda: array("d"))
    failed: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    examples: list[str] = field(default_factory=list)
    ports: Counter[int] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        """How many were asked, and either answered or failed."""
        return len(self.seconds) + self.failed.total() + self.wrong

    def judge(self, port: int, status: int, is_right: bool, seconds: float) -> None:
        """Count an answer as what it is."""
        if status != 200:
            self.fail(port, f"status {status}")
        elif is_right:
            self.seconds.append(seconds)
            self.ports[port] += 1
        else:
            self.wrong += 1
            self._note(port, "200 with another body")

    def fail(self, port: int, what: str) -> None:
        """Count a request without an answer."""
        self.failed[what] += 1
        self._note(port, what)

    def _note(self, port: int, what: str) -> None:
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(f"{self.name}: {what}; {self.phase(port)}")
