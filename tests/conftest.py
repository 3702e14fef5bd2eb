"""A real server on a free port, with real checkpoints, and a client that calls it."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any

import httpx
import pytest

from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.server.server import Server

Serving = Callable[..., Any]

# Where processes run what no other test does: that of others is not counted.
COUNTED = {"cli", "configuration", "diagnostics", "http", "process", "sockets"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--url", help="Ask this server, with the settings of the fixture `client`."
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """With a server of another, leave out what does not ask it."""
    if config.getoption("url") is None:
        return
    asking = [item for item in items if _asks_client(item)]
    config.hook.pytest_deselected(items=[each for each in items if each not in asking])
    items[:] = asking


def _asks_client(item: pytest.Item) -> bool:
    # A module may have a fixture of that name, with a server of its own.
    return (
        isinstance(item, pytest.Function)
        and "client" in item.fixturenames
        and not hasattr(item.module, "client")
    )


@contextmanager
def serve(
    settings: Settings, checkpoints: Sequence[Path] = (), **options: Any
) -> Iterator[httpx.Client]:
    app = create_app(settings, checkpoints)
    server = Server(app, **options)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            sleep(0.01)
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", timeout=60
            ) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module", autouse=True)
def counted_processes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Count the lines of processes only where they matter: it takes each a second."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.parent.name not in COUNTED:
            patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield


@pytest.fixture(scope="module")
def uncounted() -> Iterator[None]:
    """Count no lines of this thread, for tests of many draws: it doubles their time."""
    trace = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(trace)


@pytest.fixture(scope="session")
def client(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """Calls a server of the pretrained models."""
    if url := request.config.getoption("url"):
        with httpx.Client(base_url=url, timeout=60) as client:
            yield client
        return
    with serve(Settings(max_body_bytes=200_000, max_elements=1000)) as client:
        yield client


@pytest.fixture
def wire(client: httpx.Client) -> Iterator[socket.socket]:
    """A connection to that server."""
    address = (client.base_url.host, client.base_url.port or 80)
    with socket.create_connection(address, timeout=20) as wire:
        yield wire


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
