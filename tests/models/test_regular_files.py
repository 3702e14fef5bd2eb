"""Files that would never end, or not for long: a pipe, a device, one too large.

Whatever they are named for, checkpoints, keys or certificates, they are refused in a
sentence, at the start and later, and nobody waits for them.
"""

import errno
import hashlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import NamedTuple

import httpx
import pytest
from typer.testing import CliRunner

from sigmoid_models.checkpoint import CheckpointError, load_checkpoint, read_bytes
from sigmoid_models.files.regular_file import FileBytes, read_pages, read_regular
from sigmoid_serve.app import create_app
from sigmoid_serve.cli.commands import app
from sigmoid_serve.configuration.settings import ServingError, Settings
from sigmoid_serve.http.authentication import ApiKeys, KeysError, read_keys
from tests.cli.test_cli import refused
from tests.conftest import serve
from tests.registry.test_reloading import put
from tests.running import BARE, TIMEOUT, serving, settings_of, until_ready

KINDS = ("fifo", "device", "folder", "socket")
REFUSALS = {
    "fifo": "it is no regular file",
    "device": "it is no regular file",
    "folder": "Is a directory",
    "socket": "it is no regular file",
}
LARGE = 8 * 2**40
KEY = "k" * 43
ADMIN = {"Authorization": f"Bearer {KEY}"}
READERS = (read_regular, read_pages)
ROW = {"inputs": [[1.0, 2.0, 3.0, 4.0]]}


def make(path: Path, kind: str) -> None:
    """Make what is no regular file, in the place of what is there."""
    new = path.with_name(f".{path.name}.new")
    if kind == "fifo":
        os.mkfifo(new)
    elif kind == "device":
        new.symlink_to("/dev/zero")
    elif kind == "folder":
        new.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(new))
    path.unlink(missing_ok=True)
    os.rename(new, path)


def keys_file(path: Path, count: int = 0) -> Path:
    names = [KEY, *(f"other {number}" for number in range(count))]
    digests = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    lines = [f"k{number} {digest} admin\n" for number, digest in enumerate(digests)]
    new = path.with_suffix(".new")
    new.write_text("".join(lines))
    os.replace(new, path)
    return path


def soon(condition: Callable[[], bool], seconds: float = TIMEOUT) -> bool:
    end = monotonic() + seconds
    while monotonic() < end:
        if condition():
            return True
        sleep(0.02)
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_regular_file(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    path = Path("file.pt")
    make(path, kind)
    for read in READERS:
        with pytest.raises(OSError, match=REFUSALS[kind]):
            read(path, 100)
    with pytest.raises(CheckpointError, match=REFUSALS[kind]):
        load_checkpoint(path)


def test_sizes(tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    path.write_bytes(b"0123456789")
    assert read_regular(path, 10) == read_pages(path, 10)[:] == b"0123456789"
    for read in READERS:
        with pytest.raises(OSError, match="it has 10 bytes, more than 9") as caught:
            read(path, 9)
        assert caught.value.errno == errno.EFBIG
    os.truncate(path, LARGE)
    with pytest.raises(CheckpointError, match=f"{LARGE} bytes, more than {2**32}"):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match=r"; raise SIZE$"):
        read_bytes(path, 10, "SIZE")


@pytest.mark.parametrize("read", READERS)
def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, read: Callable[[Path, int], FileBytes]
) -> None:
    """One that has other bytes than it says; one that is written to all the time."""
    with pytest.raises(OSError, match="it changed while it was read"):
        read(Path("/proc/self/status"), 2**20)
    path = tmp_path / "file"
    path.write_bytes(bytes(2**26))
    done = threading.Event()

    def write() -> None:
        with path.open("r+b") as file:
            while not done.is_set():
                os.pwrite(file.fileno(), b"x", 2**25)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(OSError, match="it changed while it was read"):
            read(path, 2**26)
    finally:
        done.set()
        writer.join()


def test_a_pipe_in_place_of_a_file_that_was_looked_at(tmp_path: Path) -> None:
    """What is open is what is judged: nobody waits for a writer."""
    path = tmp_path / "file"
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            (tmp_path / "new").write_bytes(b"x")
            os.replace(tmp_path / "new", path)
            os.mkfifo(tmp_path / "pipe")
            os.replace(tmp_path / "pipe", path)

    swapper = threading.Thread(target=swap)
    swapper.start()
    outcomes: list[object] = []

    def is_enough() -> bool:
        for _ in range(1000):
            try:
                outcomes.append(read_regular(path, 10))
            except OSError as error:
                outcomes.append(error.errno)
        # So many of both that some were swapped between a look and a read.
        return min(outcomes.count(b"x"), outcomes.count(errno.EINVAL)) > 1000

    try:
        assert soon(is_enough)
    finally:
        done.set()
        swapper.join()


def refusal(error: type[Exception], *paths: Path, **variables: str) -> str:
    """Return the sentence that a start ends with."""
    with pytest.raises(error) as caught:
        create_app(settings_of(**variables), paths)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_at_the_start(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "m.pt"
    make(path, kind)
    if kind == "fifo":
        told = refusal(ServingError, path)
        assert "it is neither a file nor a folder; name a checkpoint" in told
    told = refusal(KeysError, SIGMOID_API_KEYS_FILE=str(path))
    assert told == f"{path}: it is no regular file; check the path"
    inspected = CliRunner().invoke(app, ["inspect", str(path)])
    assert isinstance(inspected.exception, CheckpointError)
    assert str(inspected.exception) == told
    assert inspected.output == ""


def test_the_command_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    make(path, "fifo")
    told = refused("serve", SIGMOID_API_KEYS_FILE=str(path))
    assert told == f"sigmoid-serve: {path}: it is no regular file; check the path\n"


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = put(tmp_path / "m.safetensors", 1)
    size = path.stat().st_size
    most = {"SIGMOID_MAX_CHECKPOINT_BYTES": str(size - 1)}
    assert refusal(ServingError, path, **most) == (
        f"{path}: it has {size} bytes, more than {size - 1}; raise "
        "SIGMOID_MAX_CHECKPOINT_BYTES"
    )


class Reloaded(NamedTuple):
    """A model and keys that are read again, and the service of them."""

    model: Path
    keys: Path
    variables: dict[str, str]


@pytest.fixture
def reloaded(tmp_path: Path) -> Reloaded:
    model = put(tmp_path / "models" / "m.safetensors", 1)
    keys = keys_file(tmp_path / "keys")
    variables = {
        "SIGMOID_MODELS": str(tmp_path / "models"),
        "SIGMOID_API_KEYS_FILE": str(keys),
        "SIGMOID_MAX_CHECKPOINT_BYTES": "100000",
        **BARE,
    }
    return Reloaded(model, keys, variables)


def check_reloads(client: httpx.Client, files: Reloaded, log: Callable[[], str]) -> int:
    """The model, the keys and who asks meanwhile are as they were.

    Returns:
        How often the log tells of the keys.
    """
    path, keys = files.model, files.keys
    before = client.post("/predict", json=ROW).json()
    for kind in ("fifo", "device", "large"):
        if kind == "large":
            path.unlink()
            path.touch()
            os.truncate(path, LARGE)
        else:
            make(path, kind)
        start = perf_counter()
        answer = client.post("/models/m/reload")
        assert perf_counter() - start < 10
        assert answer.status_code == 503, answer.text
        detail = answer.json()["detail"]
        if kind == "large":
            assert "more than 100000; raise SIGMOID_MAX_CHECKPOINT_BYTES" in detail
        else:
            assert "its checkpoint is not there any more" in detail
        assert client.post("/predict", json=ROW).json() == before
    path.unlink()
    put(path, 1)
    assert client.post("/models/m/reload").status_code == 200
    make(keys, "fifo")
    told = (
        "reload of API keys failed, keeping the current ones: "
        f"{keys}: it is no regular file"
    )
    assert soon(lambda: bool(client.get("/models")) and told in log())
    assert client.post("/predict", json=ROW).status_code == 200
    return log().count(told)


def test_at_a_reload(reloaded: Reloaded, caplog: pytest.LogCaptureFixture) -> None:
    with serve(settings_of(**reloaded.variables)) as client:
        client.headers.update(ADMIN)
        assert check_reloads(client, reloaded, lambda: caplog.text) == 1


def test_at_a_reload_of_workers(reloaded: Reloaded, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        serving(log, SIGMOID_WORKERS="2", **reloaded.variables) as (_, address),
        httpx.Client(base_url=address, headers=ADMIN, timeout=TIMEOUT) as client,
    ):
        until_ready(client)
        assert check_reloads(client, reloaded, log.read_text) <= 2


def longest(client: httpx.Client, seconds: float) -> float:
    """Ask whether the process answers, again and again; return the longest wait."""
    waits = []
    end = monotonic() + seconds
    while monotonic() < end:
        start = perf_counter()
        assert client.get("/livez").status_code == 200
        waits.append(perf_counter() - start)
    return max(waits)


def test_very_many_keys(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A pair of them was compared for each two, and all for each request."""
    caplog.set_level("INFO")
    count = 40_000
    path = keys_file(tmp_path / "keys")
    with serve(Settings(api_keys_file=path)) as client:
        client.headers.update(ADMIN)
        keys_file(path, count)
        sleep(0.6)
        assert client.get("/models").status_code == 200
        # Each with each would take minutes; a busy machine takes a second or two.
        assert longest(client, 1.5) < 5
        told = f"API keys reloaded: {count + 1}"
        assert soon(lambda: told in caplog.messages, 10)
    start = perf_counter()
    keys = ApiKeys(path)
    assert perf_counter() - start < 3
    start = perf_counter()
    for _ in range(1000):
        keys.authorize(f"Bearer {KEY}".encode(), for_admin=True)
    assert perf_counter() - start < 2


@pytest.mark.parametrize(
    "line",
    [" " * 2**21 + "x", "a" + " " * 2**21, "a" * 2**21, "\x0b" * 2**21 + "x"],
    ids=["spaces before", "spaces behind", "letters", "lines"],
)
def test_long_lines_of_keys(tmp_path: Path, line: str) -> None:
    path = keys_file(tmp_path / "keys")
    with path.open("a") as file:
        file.write(line)
    start = perf_counter()
    with pytest.raises(KeysError, match=r"is not `name sha256-hex \[admin\]`"):
        read_keys(path)
    assert perf_counter() - start < 2
