"""Workers that exit before they serve: restarted with backoff, and given up at last."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

import httpx
import pytest
import torch

from sigmoid_models.classifier import Classifier
from sigmoid_serve.process.restart_backoff import RestartBackoff, describe_exit
from tests.cli.test_cli import call
from tests.hanging import python_path
from tests.process.test_shutdown import exits_at_the_second
from tests.process.test_workers import children, until
from tests.running import (
    BARE,
    COMMAND,
    PLAIN,
    TIMEOUT,
    environment,
    serving,
    until_ready,
)

# Python imports it in each process that finds it on PYTHONPATH.
DYING = """
import os, sys
if "--multiprocessing-fork" in sys.orig_argv and os.path.exists({mark!r}):
    {how}
"""


def die(folder: Path, how: str) -> tuple[Path, dict[str, str]]:
    """Have new workers exit while a file is there; return it, and variables."""
    mark = folder / "mark"
    mark.touch()
    (folder / "sitecustomize.py").write_text(DYING.format(mark=str(mark), how=how))
    return mark, {"PYTHONPATH": python_path(folder), "SIGMOID_WORKERS": "2"}


Outcome = tuple[subprocess.CompletedProcess[str], float]


@pytest.fixture(scope="module")
def hopeless(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Future[Outcome]]:
    """A service whose workers cannot start, which pauses while other tests run."""
    _, variables = die(tmp_path_factory.mktemp("hopeless"), "os._exit(7)")

    def run() -> Outcome:
        start = monotonic()
        outcome = call("serve", "--port", "0", folder=None, **variables)
        return outcome, monotonic() - start

    with ThreadPoolExecutor(1) as executor:
        yield executor.submit(run)


def pauses_in(log: str) -> list[int]:
    return [int(found[1]) for found in re.finditer(r"restarting in (\d+) s", log)]


# The process that is started first, which is worker 0.
SLOW = """
import os, sys, time
if "--multiprocessing-fork" in sys.orig_argv and not os.path.exists({mark!r}):
    open({mark!r}, "w").close()
    time.sleep(4)
"""


def asked(address: str, timeout: float) -> int:
    return httpx.get(f"{address}/readyz", timeout=timeout, verify=PLAIN).status_code


def test_the_service_stays_ready_while_workers_start(tmp_path: Path) -> None:
    """The first worker listens before it has models; no other may be ready before.

    At its end, a second SIGTERM ends it at once.
    """
    code = SLOW.format(mark=str(tmp_path / "mark"))
    (tmp_path / "sitecustomize.py").write_text(code)
    variables = {"PYTHONPATH": python_path(tmp_path), "SIGMOID_WORKERS": "2", **BARE}
    variables["SIGMOID_DRAIN_SECONDS"] = "3000"
    wide = tmp_path / "wide.pt"
    torch.save(Classifier(64, 50_000, 10).state_dict(), wide)
    statuses: list[int] = []
    log = tmp_path / "log"
    with serving(log, wide, **variables) as (process, address):
        end = monotonic() + TIMEOUT
        while log.read_text().count("Started server process") < 2:
            assert monotonic() < end
            with suppress(httpx.TimeoutException):
                statuses.append(asked(address, 0.2))
        statuses += [asked(address, TIMEOUT) for _ in range(50)]
        exits_at_the_second(process, address, signal.SIGTERM)
    assert statuses[-1] == 200
    assert statuses == sorted(statuses, reverse=True)


def test_workers_that_start_at_last_and_one_that_dies(
    tmp_path: Path, hopeless: Future[Outcome]
) -> None:
    """Its pauses begin anew, and meanwhile the other serves."""
    assert hopeless  # it has begun; what becomes of it is looked at below
    mark, variables = die(tmp_path, "os._exit(7)")
    log = tmp_path / "log"
    with starting(log, variables) as process:
        until(lambda: "restarting in 2 s" in log.read_text())
        mark.unlink()
        until(lambda: log.read_text().count("Started server process") == 2)
        until(lambda: "listening on " in log.read_text())
        assert process.poll() is None
        found = re.search(r"listening on ([^\s\"]+)[\s\"]", log.read_text())
        assert found
        with httpx.Client(base_url=found[1], timeout=TIMEOUT) as client:
            until_ready(client)
        before = log.read_text()
        mark.touch()
        os.kill(children(process.pid)[0], signal.SIGKILL)
        until(lambda: "restarting in 4 s" in log.read_text().removeprefix(before))
        lines = log.read_text().removeprefix(before)
        assert "exited with signal 9 (SIGKILL)" in lines
        assert pauses_in(lines)[:3] == [1, 2, 4]
        with httpx.Client(base_url=found[1], timeout=TIMEOUT) as another:
            answer = another.post("/sigmoid", json={"inputs": 0})
            assert answer.json()["outputs"] == 0.5
        # Shutdown waits for no pause.
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0


@contextmanager
def starting(log: Path, variables: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with (
        log.open("w") as file,
        subprocess.Popen(
            [*COMMAND, "serve", "--port", "0"],
            stderr=file,
            env=environment(**variables),
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def test_the_service_exits_if_no_worker_can_start(hopeless: Future[Outcome]) -> None:
    outcome, seconds = hopeless.result()
    assert 1 + 2 + 4 + 8 <= seconds < TIMEOUT
    assert outcome.returncode == 1
    assert "Traceback" not in outcome.stderr
    *log, last = outcome.stderr.splitlines()
    assert re.fullmatch(
        r"sigmoid-serve: no worker can start: worker [01] exited 5 times in a row "
        r"before it was ready, the last time with code 7; see the log",
        last,
    )
    pauses = pauses_in(str(log))
    assert pauses in ([1, 1, 2, 2, 4, 4, 8, 8], [1, 1, 2, 2, 4, 4, 8, 8, 16])


def test_pauses_grow_and_are_bounded() -> None:
    backoff = RestartBackoff()
    pauses = [backoff.next_pause(0) for _ in range(9)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert backoff.next_pause(1) == 1
    backoff.reset(0)
    assert backoff.next_pause(0) == 1
    assert backoff.exits == {0: 1, 1: 1}


def test_how_a_process_exited() -> None:
    assert describe_exit(3) == "code 3"
    assert describe_exit(-11) == "signal 11 (SIGSEGV)"
    assert describe_exit(-35) == "signal 35"
