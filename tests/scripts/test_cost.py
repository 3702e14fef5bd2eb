"""The search for dear requests: what it measures, how it judges, that it can say no."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from random import Random
from threading import Thread, Timer
from time import sleep

import pytest

from fuzzing import FuzzError
from fuzzing.cost import processes, report, server
from fuzzing.cost.answers import Answers
from fuzzing.cost.campaign import chosen
from fuzzing.cost.heads import kinds
from fuzzing.cost.limits import CUT, ENDED, MIB, Cost, least, limits, shares
from fuzzing.cost.prober import Probed, longest_waits
from fuzzing.cost.search import search_all
from fuzzing.cost.space import Request, Span, change, draw, read, written

SCRIPT = Path(__file__).parents[2] / "scripts" / "fuzz"
KINDS = {kind.name: kind for kind in kinds()}


@pytest.mark.parametrize(
    ("size", "requests", "answer", "cpu", "memory", "silence"),
    [
        (0, 1, 0, 0.003, 16 * MIB, 0.05),
        (10**6, 1, 0, 1.003, 16 * MIB + 24 * 10**6, 0.05 + 4e-9 * 10**12 / MIB),
        (MIB, 1, 5 * MIB, 1.051576, 45 * MIB, 0.054),
        (1000, 100, 0, 0.301, 16 * MIB + 24_000, 0.05 + 4 / MIB),
    ],
)
def test_what_a_request_may_cost(
    size: int, requests: int, answer: int, cpu: float, memory: int, silence: float
) -> None:
    assert limits(size, requests, answer) == pytest.approx((cpu, memory, silence))
    for factor in (0.5, 1.0, 2.0):
        cost = Cost(
            size,
            requests,
            answer,
            cpu_seconds=factor * cpu,
            memory_bytes=int(factor * memory),
            silence_seconds=factor * silence + 0.2,
            empty_seconds=0.2,
        )
        assert shares(cost) == pytest.approx(
            {"CPU": factor, "memory": factor, "silence": factor}, rel=1e-4
        )


def test_the_least_of_several_measurements_counts() -> None:
    costs = [
        Cost(9, 1, 5, 200, 0.3, 900, 0.5, 0.4, end=CUT),
        Cost(9, 1, 5, 200, 0.2, 950, 0.9, 0.0),
        Cost(9, 1, 5, 200, 0.4, 990, 0.8, 0.6),
    ]
    assert least(costs) == Cost(9, 1, 5, 200, 0.2, 900, 0.5, 0.4)
    assert least(costs[:1]).is_cut


def child(code: str) -> subprocess.Popen[bytes]:
    """Run code that prints a line, then waits for one."""
    code = f"{code}\nprint(flush=True)\ninput()"
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)
    assert process.stdout
    process.stdout.readline()
    return process


def test_the_cpu_time_of_processes() -> None:
    code = """
import threading, time
def burn():
    end = time.thread_time() + 0.3
    while time.thread_time() < end: sum(range(1000))
thread = threading.Thread(target=burn)
thread.start()
thread.join()
"""
    with child(code) as process:
        used = processes.cpu_seconds([process.pid])
        assert 0.3 <= used < 5  # of a thread that has ended
        sleep(0.2)
        assert processes.cpu_seconds([process.pid]) - used < 0.1
        process.communicate(b"\n")
    assert processes.cpu_seconds([process.pid]) == 0


def test_the_wait_for_a_cpu_is_told_from_work() -> None:
    core = min(os.sched_getaffinity(0))
    burn = "import time\nwhile True: sum(range(1000))"
    command = ["taskset", "-c", str(core), sys.executable, "-c", burn]
    both = [subprocess.Popen(command) for _ in range(2)]
    sleep(2)
    queued = [processes.queued_seconds(process.pid) for process in both]
    for process in both:
        process.kill()
        process.wait()
    assert min(queued) > 0.3  # each had the core half of the time
    assert processes.queued_seconds(0) == 0


def test_memory_is_read_from_the_status_of_a_process() -> None:
    status = "Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t  2048 kB\nVmRSS:\t    12 kB\n"
    assert processes.memory_bytes(status, "VmHWM") == 2 * MIB
    assert processes.memory_bytes(status, "VmRSS") == 12 * 1024
    assert processes.memory_bytes("Name:\tx\n", "VmRSS") == 0


def test_the_peak_of_a_process_can_be_forgotten() -> None:
    with child("x = b'a' * (100 * 2**20); del x") as process:
        pids = processes.family(process.pid)
        assert processes.resident(pids, "VmHWM") > 100 * MIB
        processes.forget_peaks(pids)
        assert processes.resident(pids, "VmHWM") < 60 * MIB
        process.communicate(b"\n")


def test_children_are_of_the_family() -> None:
    code = "import subprocess; more = subprocess.Popen(['sleep', '60'])"
    with child(code) as process:
        found = processes.family(process.pid)
        assert found[0] == process.pid
        assert len(found) == 2
        status = Path(f"/proc/{found[1]}/status").read_text()
        assert f"PPid:\t{process.pid}\n" in status
        os.killpg(process.pid, signal.SIGKILL)


def test_a_server_that_takes_too_much_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_RESIDENT", 60 * MIB)
    with child("x = b'a' * (100 * 2**20)") as process:
        serving = server.Server(process, 1)
        process.wait(30)
        serving.stop()
    assert serving.was_too_large
    assert not serving.is_alive


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_answers_are_counted(step: int) -> None:
    stream = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 422 Unprocessable\r\nContent-Length: 9\r\n\r\n\r\n\r\n12345"
        b"HTTP/1.1 204 No Content\r\n\r\n"
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    )
    answers = Answers()
    for at in range(0, len(stream) - 1, step):
        answers.feed(stream[at : min(at + step, len(stream) - 1)])
    assert answers.count == 2
    answers.feed(stream[-1:])
    assert (answers.count, answers.size, answers.status) == (3, len(stream), 422)


def answering(seconds: float) -> Iterator[int]:
    """Answer one connection, each request after a pause."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(ConnectionError):
                while connection.recv(2**16):
                    sleep(seconds)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
                    connection.sendall(b"ok")

        thread = Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_silence_is_that_of_each_server() -> None:
    slow, quick = answering(0.3), answering(0.0)
    reading, writing = socket.socketpair()
    thread = Timer(1, writing.sendall, [b"\n"])
    thread.start()
    with reading, writing:
        waits = longest_waits(
            [Probed(next(slow), 0), Probed(next(quick), 0)], reading.fileno()
        )
        thread.join()
    assert 0.3 <= waits[0] < 0.6
    assert waits[1] < 0.25
    for one in (slow, quick):
        assert next(one, None) is None


@pytest.mark.parametrize("name", KINDS)
def test_each_value_makes_a_request(name: str) -> None:
    _, parameters, build = KINDS[name]
    first = {key: 2 if isinstance(p, Span) else p[0] for key, p in parameters.items()}
    made = {build(first).message}
    for key, parameter in parameters.items():
        for value in (3,) if isinstance(parameter, Span) else parameter:
            request = build({**first, key: value})
            assert len(request.message) <= request.size < 2**22
            made.add(request.message)
    assert len(made) > len(parameters) / 2


def test_what_is_drawn_can_be_repeated() -> None:
    random, again = Random(1), Random(1)
    for kind in KINDS.values():
        values = draw(random, kind.parameters)
        assert draw(again, kind.parameters) == values
        for _ in range(20):
            changed = change(random, kind.parameters, values)
            assert change(again, kind.parameters, values) == changed
            recipe = written(kind.name, changed)
            assert read(recipe, list(KINDS.values())) == (kind, changed)
            values = changed


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("none: a=1", "no kind of request is called 'none'"),
        ("pipelined: count=1", "pipelined needs asked, count"),
        ("pipelined: asked=livez, count=0", "count is from 1 to 16384"),
        ("pipelined: asked=livez, count=x", "count is from 1 to 16384"),
        ("pipelined: asked=it, count=1", "asked is one of livez, "),
    ],
)
def test_a_recipe_that_is_none(recipe: str, said: str) -> None:
    with pytest.raises(FuzzError, match=said):
        read(recipe, list(KINDS.values()))


def test_kinds_are_chosen_by_their_beginnings() -> None:
    assert [kind.name for kind in chosen([])] == list(KINDS)
    names = [kind.name for kind in chosen(["json, s", "targ"])]
    assert names == ["json, strings", "targets"]
    with pytest.raises(FuzzError, match="no kind begins with 'x'"):
        chosen(["x"])


class Square:
    """Measures as if the CPU time grew with the square of the size, or did not."""

    def __init__(self, exponent: int) -> None:
        self.exponent = exponent
        self.restarts = 0

    def cost(self, request: Request) -> Cost:
        seconds = (request.size / 2**16) ** self.exponent * 2**16 / 2e6
        return Cost(request.size, request.answers, 100, 200, seconds)

    def restart(self) -> None:
        self.restarts += 1


@pytest.mark.parametrize(("exponent", "faults"), [(1, 0), (2, 1)])
def test_what_grows_faster_than_its_size_is_found(
    exponent: int, faults: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A second of so many looks at the clock, however busy the machine is.
    monkeypatch.setattr("fuzzing.cost.search.monotonic", count(0, 0.004).__next__)
    bench = Square(exponent)
    found = search_all(chosen(["json, strings"]), 1, bench, 1)
    assert found[0].tried > 10
    said = list(report.faults(found))
    assert len(said) == faults
    assert bench.restarts == 1 + 3 * faults
    if faults:
        assert re.match(r"CPU \d+\.\d × what it may be; json, strings: unit=", said[0])
        _, values = read(said[0].partition("; ")[2], list(KINDS.values()))
        assert values == found[0].by_measure["CPU"][0].values


def test_a_server_that_ended_is_a_fault() -> None:
    class Ending(Square):
        def cost(self, request: Request) -> Cost:
            return Cost(request.size, end=ENDED)

    found = search_all(chosen(["targets"]), 1, Ending(1), 0)
    assert len(list(report.faults(found))) == 1


def test_the_command() -> None:
    options = ["--kind", "targets", "--kind", "json, dense", "--seconds", "2"]
    outcome = subprocess.run(
        [sys.executable, SCRIPT, "cost", *options, "--seed", "1"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert outcome.stdout.startswith("seed 1\n")
    assert outcome.stderr.count(" of the limit, ") == 2
    for text in ("targets, ", "json, dense, ", "CPU", "memory", "silence"):
        assert text in outcome.stdout
