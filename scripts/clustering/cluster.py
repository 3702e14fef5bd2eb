"""A local Ray of our own: started, told what to serve, and ended whatever happens."""

import json
import os
import secrets
import selectors
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final, NamedTuple

from calling.environments import ROOT, python_environment, run
from clustering import ClusterError

DEPLOYMENT: Final = "SigmoidServe"
APPLICATION: Final = "default"
START_SECONDS: Final = 180.0
_END_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.1
_LOG: Final = "driver.log"
_HERE: Final = Path(__file__).parent

Config = Mapping[str, Any]


def ray_python(cache: Path) -> Path:
    """Make the environment that Ray runs in, unless it is there.

    Raises:
        ClientError: Something cannot be installed.
    """
    home = cache / "ray"
    pip = python_environment(home, "ray.txt") / "pip"
    marker = home / "installed"
    if not marker.exists():
        torch = str(ROOT / "scripts" / "requirements" / "torch.txt")
        run([str(pip), "install", "--quiet", "-r", torch])
        run([str(pip), "install", "--quiet", "--no-deps", "-e", str(ROOT)])
        marker.touch()
    return home / "bin" / "python"


class Replica(NamedTuple):
    """A replica that answers, as Ray tells it.

    Attributes:
        name: Ray's, of one process only.
        pid: Of its process.
    """

    name: str
    pid: int


class Cluster:
    """A running Ray.

    Args:
        process: Runs `driver.py`.
        port: Of Ray's proxy.
        folder: Of Ray's files.

    Attributes:
        port: The same.
        url: Of the proxy.
    """

    def __init__(self, process: subprocess.Popen[str], port: int, folder: Path) -> None:
        self._process = process
        self._folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def tell(self, order: Config, seconds: float = 60) -> dict[str, Any]:
        """Give the driver an order; return what Ray says of its applications.

        Raises:
            ClusterError: The driver has ended, or does not answer.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise ClusterError("the driver of Ray has no pipes")
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        return self.heard(seconds)

    def heard(self, seconds: float) -> dict[str, Any]:
        """Read the next answer of the driver; see `tell`."""
        answers = self._process.stdout
        assert answers is not None
        with selectors.DefaultSelector() as selector:
            selector.register(answers, selectors.EVENT_READ)
            if not selector.select(seconds):
                raise ClusterError(f"Ray did not answer in {seconds:g} s")
        line = answers.readline()
        if not line:
            log = (self._folder / _LOG).read_text(errors="replace")
            raise ClusterError(f"Ray has ended:\n{log[-2000:]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def deploy(self, config: Config, seconds: float = START_SECONDS) -> None:
        """Deploy one application, in place of what is there, and wait until it runs.

        Args:
            config: Of the application, as in the file of `serve deploy`.
            seconds: Longest wait.

        Raises:
            ClusterError: It does not run; with what Ray says of it.
        """
        self.begin(config)
        self.wait(lambda found: found["status"] == "RUNNING", "runs", seconds)

    def begin(self, config: Config) -> None:
        """Deploy an application as `deploy` does, but wait for nothing."""
        self.tell({"deploy": {"applications": [config]}})

    def application(self) -> dict[str, Any]:
        """Ask what Ray says of the application."""
        found: dict[str, Any] = self.tell({})[APPLICATION]
        return found

    def wait(
        self, is_so: Callable[[dict[str, Any]], bool], what: str, seconds: float
    ) -> float:
        """Wait until something is so of the application; return the seconds it took.

        Raises:
            ClusterError: It is not, in time, or the deployment has failed.
        """
        start = monotonic()
        while not is_so(found := self.application()):
            told = f"{found['status']}: {messages(found)}"
            if found["status"] == "DEPLOY_FAILED":
                raise ClusterError(f"the deployment failed: {told}")
            if monotonic() - start > seconds:
                raise ClusterError(f"not in {seconds:g} s: it {what}; {told}")
            sleep(_POLL_SECONDS)
        return monotonic() - start

    def logged(self, text: str) -> int:
        """Count in the logs of all processes how often they have said something."""
        logs = self._folder.glob("session_2*/logs/worker-*.err")
        return sum(each.read_text(errors="replace").count(text) for each in logs)

    def replicas(self) -> list[Replica]:
        """List the replicas that answer."""
        return running(self.application())


def running(application: Mapping[str, Any]) -> list[Replica]:
    """List the replicas that answer, of what Ray says of an application."""
    deployment = application["deployments"].get(DEPLOYMENT, {"replicas": []})
    return [
        Replica(each["replica_id"], each["pid"])
        for each in deployment["replicas"]
        if each["state"].endswith("RUNNING")
    ]


def messages(application: Mapping[str, Any]) -> str:
    """Say what Ray says of an application and its deployments, shortened."""
    told = [application["message"]]
    told += [each["message"] for each in application["deployments"].values()]
    return " | ".join(" ".join(each.split())[-600:] for each in told if each)


def config(
    replicas: int | Mapping[str, Any],
    user_config: Mapping[str, Any],
    variables: Mapping[str, object],
    prefix: str = "/",
    **options: object,
) -> dict[str, Any]:
    """Write the config of an application.

    Args:
        replicas: How many; or how they are scaled.
        user_config: Of the deployment.
        variables: SIGMOID_ variables, in lower case without `SIGMOID_`.
        prefix: Of all paths.
        options: Of the deployment.
    """
    is_fixed = isinstance(replicas, int)
    deployment = {
        "name": DEPLOYMENT,
        "num_replicas": replicas if is_fixed else "auto",
        "autoscaling_config": None if is_fixed else replicas,
        "user_config": dict(user_config),
        **options,
    }
    environment = {f"SIGMOID_{k.upper()}": str(v) for k, v in variables.items()}
    return {
        "name": APPLICATION,
        "route_prefix": prefix,
        "import_path": "sigmoid_serve.ray:app",
        "runtime_env": {"env_vars": environment},
        "deployments": [deployment],
    }


@contextmanager
def running_cluster(python: Path, cpus: int) -> Iterator[Cluster]:
    """Start a Ray with nothing in it, of this user and on 127.0.0.1 alone.

    Args:
        python: Of the environment of Ray.
        cpus: As many as Ray is to count, whatever there are.

    Raises:
        ClusterError: It does not start.
    """
    port = _free_port()
    # Sockets of Ray lie there: their paths may have 107 bytes.
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as home,
        Path(home, _LOG).open("w") as log,
    ):
        process = subprocess.Popen(
            [python, "-P", _HERE / "driver.py", str(port), home, str(cpus)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=_environment(),
            start_new_session=True,
        )
        try:
            cluster = Cluster(process, port, Path(home))
            cluster.heard(START_SECONDS)
            yield cluster
        finally:
            _end(process)


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith("SIGMOID_")}
    sources = [str(ROOT / "service"), str(ROOT / "models")]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(sources),
        # Else Ray writes one into the home folder.
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _end(process: subprocess.Popen[str]) -> None:
    """End Ray as it ends itself; what is left of its session then, by force."""
    if process.stdin:
        with suppress(OSError):
            process.stdin.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    end = monotonic() + _END_SECONDS
    while (left := _of_session(process.pid)) and monotonic() < end:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        sleep(_POLL_SECONDS)
    if process.stdout:
        process.stdout.close()


def _of_session(session: int) -> Sequence[int]:
    """List the processes of a session; see proc(5), `/proc/pid/stat`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[3]) == session:
                found.append(int(path.parent.name))
    return found
