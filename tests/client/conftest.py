"""The clients in the four ways in which they call: blocking or not, over TCP or not."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sigmoid_models.checkpoint import save_checkpoint
from sigmoid_serve import AsyncClient, Client
from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import Settings
from tests.admission.test_queue import serving
from tests.engine.networks import make_checkpoint

WAYS = ("sync-tcp", "sync-app", "async-tcp", "async-app")


class Awaited:
    """An `AsyncClient` whose calls are awaited, all in one event loop."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(*arguments, **options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            async def do() -> Any:
                return await method(*arguments, **options)

            return self._runner.run(do())

        return call

    def __enter__(self) -> "Awaited":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._runner.close()


def client_of(way: str, server: Any, **options: Any) -> Any:
    """Make a client that calls a server, or an application."""
    return (Client if way.startswith("sync") else Awaited)(server, **options)


@contextmanager
def standing(
    way: str,
    settings: Settings | None = None,
    checkpoints: Sequence[Path] = (),
    taken: int = 0,
) -> Iterator[Any]:
    """Serve models; `taken` elements of the queue are never given back.

    What comes is what clients of this way are given: an address, or an application.
    """
    settings = settings or Settings()
    if way.endswith("app"):
        app = create_app(settings, checkpoints)
        RequestState(app.state.context.admission).reserve(taken)
        yield app
    else:
        with serving(settings, checkpoints, taken) as served:
            yield str(served.client.base_url)


@contextmanager
def calling(way: str, *arguments: Any, **options: Any) -> Iterator[Any]:
    """Serve models as `standing` does, and call them in one way."""
    with (
        standing(way, *arguments, **options) as server,
        client_of(way, server) as client,
    ):
        yield client


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of four features and three classes."""
    path = tmp_path_factory.mktemp("small") / "small.safetensors"
    checkpoint = make_checkpoint((4, 5, 3))
    save_checkpoint(path, checkpoint.network, checkpoint.card)
    return path
