"""The sides of the comparison: each a process that computes only when it is asked."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import BinaryIO

from benchmark import BenchmarkError
from benchmark.servers import ALL_CORES, core_list

ENGINE, PLAIN, ONNX = "ours", "plain", "ONNX Runtime"
_SCRIPTS = Path(__file__).resolve().parents[2]
_STOP_SECONDS = 15.0
# Threads that wait for more work spin for some milliseconds.
_PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Command:
    """How a side is started.

    Attributes:
        name: As the tables show it.
        line: Its command line.
        paths: Where Python finds modules, beside what is installed.
    """

    name: str
    line: Sequence[str]
    paths: Sequence[str] = field(default=(str(_SCRIPTS),))

    @property
    def words(self) -> list[str]:
        """The command line, on all cores that the benchmark uses."""
        return ["taskset", "-c", core_list(ALL_CORES), *self.line]

    @property
    def environment(self) -> dict[str, str]:
        """The variables of this process, and where the modules are."""
        return {**os.environ, "PYTHONPATH": os.pathsep.join(self.paths)}


@dataclass(frozen=True)
class Side:
    """A side that runs.

    Attributes:
        name: As the tables show it.
        process: Reads requests and writes answers, one a line.
        log: What it says beside.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: BinaryIO

    def load(self, checkpoint: Path) -> None:
        """Let it read a network, instead of the one before."""
        self._ask({"load": str(checkpoint)})

    def timed(self, rows: int, seconds: float) -> dict[str, float]:
        """Let it compute batches; see `benchmark.networks.turns.timed_call`."""
        sleep(_PAUSE_SECONDS)
        return self._ask({"rows": rows, "seconds": seconds})

    def _ask(self, request: dict[str, object]) -> dict[str, float]:
        assert self.process.stdin
        assert self.process.stdout
        with suppress(BrokenPipeError):  # it has ended, as the next line finds
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            said = self.log.read().decode(errors="replace").strip()[-1000:]
            raise BenchmarkError(f"{self.name} ended; it said:\n{said}")
        answer: dict[str, float] = json.loads(line)
        return answer


def engine(threads: int, device: str, max_rows: int) -> Command:
    """Our engine."""
    return _of_this_environment(ENGINE, "engine", threads, device, max_rows)


def plain(threads: int, device: str) -> Command:
    """The module as PyTorch calls it."""
    return _of_this_environment(PLAIN, "plain", threads, device, 0)


def onnx_runtime(threads: int, python: str) -> Command:
    """ONNX Runtime, in an environment of its own."""
    module = [python, "-P", "-m", "benchmark.peers.onnx_runtime"]
    return Command(ONNX, [*module, str(threads)])


def _of_this_environment(name: str, *arguments: object) -> Command:
    module = [sys.executable, "-P", "-m", "benchmark.networks.compute"]
    return Command(name, [*module, *map(str, arguments)], _paths())


def limits(threads: int, device: str) -> dict[str, float]:
    """Measure the machine; see `benchmark.networks.limits`."""
    module = [sys.executable, "-P", "-m", "benchmark.networks.limits"]
    command = Command("limits", [*module, str(threads), device], _paths())
    result = subprocess.run(
        command.words,
        env=command.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise BenchmarkError(f"the limits failed: {result.stderr[-500:]}")
    figures: dict[str, float] = json.loads(result.stdout)
    return figures


@contextmanager
def started(command: Command) -> Iterator[Side]:
    """Start a side; end it whatever happens."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command.words,
            env=command.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for this process, which then ends it
        )
        with process:
            try:
                yield Side(command.name, process, log)
                assert process.stdin
                process.stdin.close()
                process.wait(_STOP_SECONDS)
            finally:
                process.kill()


def _paths() -> list[str]:
    old = os.environ.get("PYTHONPATH")
    return [str(_SCRIPTS), *([old] if old else [])]
