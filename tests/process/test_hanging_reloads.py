"""Reloads that hang or lack memory, and shutdown while one runs."""

import resource
import signal
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from tests.hanging import hook, put_hanging, put_large
from tests.process.standing import Standing, log_of
from tests.process.test_hanging import WORKERS, Reloading, served, shas
from tests.process.test_workers import children, until
from tests.registry.test_reloading import Served, put
from tests.running import TIMEOUT


class Services:
    """One service of each number of workers, whose marked checkpoints hang."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self._folder, self._variables = folder, variables
        self._standing: dict[int, Standing] = {}

    def use(self, workers: int) -> AbstractContextManager[Served]:
        """Lend the service of so many workers, as a new one."""
        if workers not in self._standing:

            def serve(folder: Path) -> AbstractContextManager[Served]:
                _, variables = hook(folder)
                return served(folder, workers, **variables, **self._variables)

            self._standing[workers] = Standing(self._folder / str(workers), serve)
        return self._standing[workers].use()

    def close(self) -> None:
        for standing in self._standing.values():
            standing.close()


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Services that give a load up soon, and a client time at the shutdown."""
    services = Services(
        tmp_path_factory.mktemp("brief"),
        SIGMOID_LOAD_SECONDS="4",
        SIGMOID_DRAIN_SECONDS="60",
    )
    yield services
    services.close()


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Services that wait for a load longer than a test does."""
    services = Services(tmp_path_factory.mktemp("patient"))
    yield services
    services.close()


@WORKERS
@pytest.mark.parametrize("where", ["anywhere", "in workers"])
def test_a_load_that_hangs(brief: Services, workers: int, where: str) -> None:
    """It fails at its time limit; meanwhile other models are reloaded."""
    if (workers, where) == (1, "in workers"):
        pytest.skip("one process does both")
    with brief.use(workers) as found:
        old = shas(found, workers)
        told = len(log_of(found))
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
        until(lambda: log_of(found)[told:].count("model other reloaded") == 2)


def test_a_second_signal_while_a_reload_hangs(brief: Services) -> None:
    with brief.use(2) as found:
        put_hanging(found.file(1), "anywhere")
        hanging = Reloading(found)
        sleep(0.5)
        found.process.send_signal(signal.SIGTERM)
        sleep(0.5)
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(5) == 128 + signal.SIGTERM
        hanging.join()


@pytest.mark.parametrize("who", ["supervisor", "workers", "one process"])
def test_no_memory_for_a_reload(patient: Services, who: str) -> None:
    with patient.use(1 if who == "one process" else 2) as found, ExitStack() as stack:
        pid = found.process.pid
        workers = children(pid)
        put_large(found.file(1), 2**24)
        stack.enter_context(limited(workers if who == "workers" else [pid], 2**27))
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


@contextmanager
def limited(pids: Sequence[int], more: int) -> Iterator[None]:
    """Limit the memory of processes to so many bytes more than each has."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_AS) for pid in pids}
    for pid, (_, hard) in before.items():
        status = Path(f"/proc/{pid}/status").read_text().split()
        size = 1024 * int(status[status.index("VmSize:") + 1])
        resource.prlimit(pid, resource.RLIMIT_AS, (size + more, hard))
    yield
    for pid, limits in before.items():
        resource.prlimit(pid, resource.RLIMIT_AS, limits)


@WORKERS
@pytest.mark.parametrize("where", ["anywhere", "in workers"])
def test_shutdown_while_a_reload_hangs(
    patient: Services, workers: int, where: str
) -> None:
    if (workers, where) == (1, "in workers"):
        pytest.skip("one process does both")
    with patient.use(workers) as found:
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
        assert "Traceback" not in log_of(found)


@pytest.mark.parametrize(
    ("workers", "delay"), [(1, 0.0), (1, 0.2), (2, 0.0), (2, 0.2), (2, None)]
)
def test_shutdown_at_a_moment_of_a_reload(
    patient: Services, workers: int, delay: float | None
) -> None:
    """Nothing hangs; the signal comes before, between or after the two phases."""
    with patient.use(workers) as found:
        put_large(found.file(1), 2**20)
        reload = Reloading(found)
        if delay is None:
            until(lambda: reload.status)
        else:
            sleep(delay)
        start = monotonic()
        found.process.send_signal(signal.SIGTERM)
        assert found.process.wait(TIMEOUT) == 0
        assert monotonic() - start < 6
        reload.join()
        assert reload.status in (200, 503)
        assert "Traceback" not in log_of(found)
