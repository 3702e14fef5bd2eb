"""Lines to standard error: none lost where they are read, nobody kept where not."""

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from tests.process.test_workers import children, until
from tests.running import (
    COMMAND,
    TIMEOUT,
    counted,
    environment,
    serving,
    until_ready,
)
from tests.server.test_connection import answer

# What a process that nobody listens to may take to end, beside its own time.
SECONDS = 5

# Requests that are sent in one piece.
AT_ONCE = 25

LINE = re.compile(rb"\S+Z INFO \[-\] line (\d+) (x*)")
NOTE = re.compile(
    rb"\S+Z ERROR \[-\] lines dropped here, as they could not be written: (\d+)"
)

_SCRIPT = """
import logging, os, sys
from sigmoid_serve.monitoring.line_writer import exit_at_once, line_writer
from sigmoid_serve.monitoring.logs import configure_logs
configure_logs("text")
logger = logging.getLogger("sigmoid_serve")
def write(first, last, length=40):
    for number in range(first, last):
        logger.info("line %d %s", number, "x" * length)
"""


def writing(code: str, stderr: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _SCRIPT + code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=environment(PYTHONPATH=os.getcwd()),
    )


def numbers(log: bytes) -> list[int]:
    lines = log.splitlines()
    found = [LINE.fullmatch(line) for line in lines]
    assert all(found), [line for line in lines if not LINE.fullmatch(line)]
    return [int(match[1]) for match in found if match]


def filled_pipe() -> tuple[int, int]:
    """Make a pipe that is full, whose writer has to wait."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"." * 4096)
    os.set_blocking(writer, True)
    return reader, writer


@pytest.mark.parametrize("ending", ["", "sys.exit(3)", "exit_at_once(3)", "1 / 0"])
@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_all_lines_are_written_in_order(tmp_path: Path, ending: str, kind: str) -> None:
    code = f"write(0, 5000)\n{ending}"
    if kind == "pipe":
        with writing(code, subprocess.PIPE) as process:
            _, log = process.communicate(timeout=TIMEOUT)
    else:
        with (
            (tmp_path / "log").open("wb") as file,
            writing(code, file.fileno()) as process,
        ):
            process.communicate(timeout=TIMEOUT)
        log = (tmp_path / "log").read_bytes()
    if ending == "1 / 0":
        log, _, trace = log.partition(b"\nTraceback")
        log, _, last = log.rpartition(b"\n")
        assert last.endswith(b"CRITICAL [-] unexpected error")
        assert trace.endswith(b"ZeroDivisionError: division by zero\n")
    assert numbers(log) == list(range(5000))
    assert process.returncode == {"": 0, "1 / 0": 1}.get(ending, 3)


def test_many_lines_are_written_where_they_are_read() -> None:
    """As many at once as are kept; more may come once those were read."""
    code = """
for first in range(0, 50_000, 10_000):
    write(first, first + 10_000)
    line_writer().flush()
"""
    with writing(code, subprocess.PIPE) as process:
        _, log = process.communicate(timeout=TIMEOUT)
    assert numbers(log) == list(range(50_000))


@pytest.mark.parametrize("ending", ["sys.exit(3)", "exit_at_once(3)", "1 / 0"])
def test_who_does_not_read_keeps_nobody(ending: str) -> None:
    code = f"write(0, 30_000)\nprint('written', flush=True)\n{ending}"
    with writing(code, subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"written\n"
        began = monotonic()
        assert process.wait(TIMEOUT) == (1 if ending == "1 / 0" else 3)
        assert monotonic() - began < SECONDS
        log = process.stderr.read()
    whole = log[: log.rfind(b"\n") + 1]
    assert numbers(whole) == list(range(len(whole.splitlines())))
    assert len(log) >= 2**15


def test_dropped_lines_are_counted_and_said_in_their_place() -> None:
    code = """
dropped = []
write(0, 20_000)
line_writer().count_dropped(dropped.append)
write(20_000, 30_000)
print(int(sum(dropped)), flush=True)
sys.stdin.readline()
write(30_000, 30_010)
print(int(sum(dropped)), flush=True)
"""
    with writing(code, subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        dropped = int(process.stdout.readline())
        log: list[bytes] = []
        for line in process.stderr:
            log.append(line.rstrip(b"\n"))
            if NOTE.fullmatch(log[-1]):
                process.stdin.write(b"go\n")
                process.stdin.flush()
        assert process.wait(TIMEOUT) == 0
        assert int(process.stdout.readline()) == dropped
    *before, note = log[:-10]
    match = NOTE.fullmatch(note)
    assert match
    assert int(match[1]) == dropped
    assert 10_000 < dropped < 30_000
    assert numbers(b"\n".join(before)) == list(range(30_000 - dropped))
    assert numbers(b"\n".join(log[-10:])) == list(range(30_000, 30_010))


def test_whoever_shares_the_descriptor_may_not_want_to_wait() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with os.fdopen(reader, "rb") as file:
        with writing("write(0, 2000, 400)", writer) as process:
            os.close(writer)
            sleep(0.5)
            log = file.read()
        assert process.returncode == 0
    assert numbers(log) == list(range(2000))


def test_long_lines_are_whole() -> None:
    """Also those that are written in parts."""
    with writing(
        "for i in range(9): write(i, i + 1, i * 20_000)", subprocess.PIPE
    ) as p:
        _, log = p.communicate(timeout=TIMEOUT)
    assert numbers(log) == list(range(9))
    found = [LINE.fullmatch(line) for line in log.splitlines()]
    assert [len(match[2]) for match in found if match] == [i * 20_000 for i in range(9)]


def test_lines_of_several_processes_are_not_mixed() -> None:
    reader, writer = os.pipe()
    writers = [writing("write(0, 1000, 900)", writer) for _ in range(3)]
    os.close(writer)
    log = b""
    while chunk := os.read(reader, 4000):
        log += chunk
        sleep(0.0005)
    os.close(reader)
    for process in writers:
        process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0
    assert sorted(numbers(log)) == sorted([*range(1000)] * 3)


@pytest.mark.parametrize("kind", ["closed pipe", "full disk"])
def test_who_cannot_be_written_to_keeps_nobody(kind: str) -> None:
    code = """
dropped = []
line_writer().count_dropped(dropped.append)
write(0, 500)
line_writer().flush()
print(int(sum(dropped)), flush=True)
sys.exit(3)
"""
    if kind == "closed pipe":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open("/dev/full", os.O_WRONLY)
    with writing(code, writer) as process:
        os.close(writer)
        told, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 3
    assert int(told) == 500


def test_a_reader_that_comes_back_is_told(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    first = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    code = """
for number in range(3):
    write(number, number + 1)
    line_writer().flush()
    print(number, flush=True)
    sys.stdin.readline()
"""
    with writing(code, os.open(path, os.O_WRONLY)) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"0\n"
        assert numbers(os.read(first, 4096)) == [0]
        os.close(first)
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"1\n"
        second = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"2\n"
        line, note = os.read(second, 4096).splitlines()
        os.close(second)
        process.communicate(b"\n", TIMEOUT)
    assert numbers(line) == [2]
    match = NOTE.fullmatch(note)
    assert match
    assert match[1] == b"1"


def test_no_file_takes_the_place_of_a_closed_log(tmp_path: Path) -> None:
    code = f"""
with open({str(tmp_path / "other")!r}, "w") as file:
    write(0, 10)
    line_writer().flush()
    print(file.fileno(), flush=True)
"""
    told = subprocess.run(
        ["bash", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, _SCRIPT + code],
        stdout=subprocess.PIPE,
        timeout=TIMEOUT,
        env=environment(PYTHONPATH=os.getcwd()),
        check=True,
    ).stdout
    assert int(told) > 2
    assert (tmp_path / "other").read_text() == ""


@pytest.mark.parametrize("arguments", [["serve"], ["inspect", "/nothing"]])
def test_an_error_that_nobody_reads_ends_the_command(arguments: Sequence[str]) -> None:
    reader, writer = filled_pipe()
    with subprocess.Popen(
        [*COMMAND, *arguments], stderr=writer, env=environment(SIGMOID_PORT="x")
    ) as process:
        os.close(writer)
        assert process.wait(TIMEOUT) == 1
    os.close(reader)


def refused_requests(url: httpx.URL, count: int) -> None:
    """Send requests that are each a line in the log; all of them are answered."""
    request = f"GET /nothing HTTP/1.1\r\nHost: x\r\nX-Request-ID: {'i' * 128}\r\n\r\n"
    rest = b""
    with socket.create_connection((url.host, url.port or 80), TIMEOUT) as wire:
        for number in range(count):
            if number % AT_ONCE == 0:
                wire.sendall(request.encode() * min(AT_ONCE, count - number))
            head, _, rest = answer(wire, rest)
            assert head.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_service_goes_on_and_ends_though_nobody_reads(workers: str) -> None:
    """Also its workers; and it says how many lines are lost."""
    reader, writer = os.pipe()
    # Small, so that it is full soon.
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = {
        "SIGMOID_WORKERS": workers,
        "SIGMOID_PORT": str(port),
        # Its lines are long, and so fewer fill the queue: 300 bytes each.
        "SIGMOID_LOG_FORMAT": "json",
        "SIGMOID_ACCESS_LOG": "true",
    }
    with subprocess.Popen(
        [*COMMAND, "serve"], stderr=writer, env=environment(**variables)
    ) as process:
        os.close(writer)
        url = httpx.URL(f"http://127.0.0.1:{port}")
        try:
            with httpx.Client(base_url=url, timeout=TIMEOUT) as client:
                until(lambda: answers(client))
                until_ready(client)
                assert counted(client, "sigmoid_log_lines_dropped_total") == 0
                threads = [
                    threading.Thread(target=refused_requests, args=(url, 1075))
                    for _ in range(4 * int(workers))
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                assert counted(client, "sigmoid_log_lines_dropped_total") > 0
                assert client.get("/livez").status_code == 200
                asked = counted(client, "sigmoid_requests_total", code="404")
                assert asked == 1075 * len(threads)
            pids = children(process.pid)
            began = monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT) == 0
            # Two to drain, and one each of the workers and of what supervises them.
            assert monotonic() - began < 2 + 2 * SECONDS
            assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
        finally:
            process.kill()
    os.close(reader)


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/livez").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_signal_during_the_start_ends_though_nobody_reads(workers: str) -> None:
    reader, writer = filled_pipe()
    with subprocess.Popen(
        [*COMMAND, "serve", "--port", "0"],
        stderr=writer,
        env=environment(SIGMOID_WORKERS=workers),
    ) as process:
        os.close(writer)
        end = monotonic() + TIMEOUT
        while not handles(process, signal.SIGTERM):
            assert monotonic() < end
            sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
    os.close(reader)


def handles(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Tell whether a process has a handler of a signal; see proc_pid_status(5)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (number - 1) & 1)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_log_of_a_service_is_whole(tmp_path: Path, workers: str) -> None:
    log = tmp_path / "log"
    with serving(log, SIGMOID_WORKERS=workers) as (process, address):
        with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
            until_ready(client)
        refused_requests(httpx.URL(address), 2500)
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
    text = log.read_text()
    assert text.count(f" INFO [{'i' * 128}] 404 route_not_found other\n") == 2500
    assert "dropped" not in text
    assert text.count("Finished server process") == int(workers)
