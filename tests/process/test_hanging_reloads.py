"""Reloads that hang or lack memory, and shutdown while one runs."""

import resource
import signal
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from tests.hanging import hook, put_hanging, put_large
from tests.process.test_hanging import WORKERS, Reloading, log_of, served, shas
from tests.process.test_workers import children, until
from tests.registry.test_reloading import put
from tests.running import TIMEOUT


@WORKERS
@pytest.mark.parametrize("where", ["anywhere", "in workers"])
def test_a_load_that_hangs(tmp_path: Path, workers: int, where: str) -> None:
    """It fails at its time limit; meanwhile other models are reloaded."""
    if (workers, where) == (1, "in workers"):
        pytest.skip("one process does both")
    _, variables = hook(tmp_path)
    with served(tmp_path, workers, SIGMOID_LOAD_SECONDS="4", **variables) as found:
        old = shas(found, workers)
        put_hanging(found.file(1), where)
        hanging = Reloading(found)
        sleep(0.5)
        put(found.models / "other" / "2" / "model.safetensors", 3)
        other = Reloading(found, "other")
        other.join()
        assert (other.status, other.seconds < 3) == (200, True), other.text
        assert hanging.is_alive()
        found.process.send_signal(signal.SIGHUP)
        hanging.join()
        assert hanging.status == 503
        assert "longer than 4 s (SIGMOID_LOAD_SECONDS)" in hanging.text
        assert 3.5 < hanging.seconds < 8
        assert shas(found, workers) == old
        put(found.file(1), 2)
        found.client.timeout = httpx.Timeout(TIMEOUT)
        assert found.reload().status_code == 200
        new = {sha256(found.file(1).read_bytes()).hexdigest()}
        assert shas(found, workers) == new
        # The signal during the reload that hung has had its effect as well.
        until(lambda: log_of(found).count("model other reloaded") == 2)


@WORKERS
@pytest.mark.parametrize("where", ["anywhere", "in workers"])
def test_shutdown_while_a_reload_hangs(
    tmp_path: Path, workers: int, where: str
) -> None:
    if (workers, where) == (1, "in workers"):
        pytest.skip("one process does both")
    _, variables = hook(tmp_path)
    with served(tmp_path, workers, **variables) as found:
        put_hanging(found.file(1), where)
        hanging = [Reloading(found), Reloading(found), Reloading(found, "other")]
        sleep(1)
        start = monotonic()
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(TIMEOUT) == 0
        assert monotonic() - start < 5
        for each in hanging:
            each.join()
        assert [each.status for each in hanging] == [503, 503, 200]
        assert "shutting down" in hanging[0].text
    assert "Traceback" not in (tmp_path / "log").read_text()


@WORKERS
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2, 0.6])
def test_shutdown_at_a_moment_of_a_reload(
    tmp_path: Path, workers: int, delay: float
) -> None:
    """Nothing hangs; the signal comes before, between or after the two phases."""
    with served(tmp_path, workers) as found:
        put_large(found.file(1), 2**20)
        reload = Reloading(found)
        sleep(delay)
        start = monotonic()
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(TIMEOUT) == 0
        assert monotonic() - start < 6
        reload.join()
        assert reload.status in (200, 503)
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_second_signal_while_a_reload_hangs(tmp_path: Path) -> None:
    _, variables = hook(tmp_path)
    with served(tmp_path, 2, **variables, SIGMOID_DRAIN_SECONDS="60") as found:
        put_hanging(found.file(1), "anywhere")
        hanging = Reloading(found)
        sleep(0.5)
        found.process.send_signal(signal.SIGTERM)
        sleep(0.5)
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(5) == 128 + signal.SIGTERM
        hanging.join()


@pytest.mark.parametrize("who", ["supervisor", "workers", "one process"])
def test_no_memory_for_a_reload(tmp_path: Path, who: str) -> None:
    with served(tmp_path, 1 if who == "one process" else 2) as found:
        pid = found.process.pid
        workers = children(pid)
        limited = workers if who == "workers" else [pid]
        put_large(found.file(1), 2**24)
        for each in limited:
            limit_memory(each, 2**27)
        response = found.reload()
        assert (response.status_code, response.json()["code"]) == (503, "not_ready")
        assert "it needs more memory than there is" in response.text
        put(found.file(1), 2)
        assert found.reload().status_code == 200
        assert shas(found, max(1, len(workers))) == {
            sha256(found.file(1).read_bytes()).hexdigest()
        }
        assert children(pid) == workers
        assert "Traceback" not in log_of(found)


def limit_memory(pid: int, more: int) -> None:
    """Limit the memory of a process to so many bytes more than it has."""
    status = Path(f"/proc/{pid}/status").read_text().split()
    size = 1024 * int(status[status.index("VmSize:") + 1])
    hard = resource.prlimit(pid, resource.RLIMIT_AS)[1]
    resource.prlimit(pid, resource.RLIMIT_AS, (size + more, hard))
