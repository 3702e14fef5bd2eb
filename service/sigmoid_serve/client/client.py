"""The two clients: the same calls, blocking and with `await`."""

import ssl
from collections.abc import Coroutine
from importlib.metadata import version as installed_version
from ipaddress import ip_address
from typing import Any, Self, TypeVar
from weakref import finalize

import httpx
from numpy.typing import NDArray

from sigmoid_serve.client.answers import Model, Prediction
from sigmoid_serve.client.core import Core, Defaults, Timeout, Version
from sigmoid_serve.client.in_process import (
    ADDRESS,
    Application,
    InProcess,
    LoopThread,
)
from sigmoid_serve.client.wires import AsyncWire, SyncWire, drive

Result = TypeVar("Result")

DEFAULT_ADDRESS = "http://127.0.0.1:8080"


class Client:
    """Calls a server, or an application in this process; for any number of threads.

    Args:
        server: The address, with a prefix where the server has one; or the application,
            such as what `create_app` returns.
        model: That is asked; None for the server's default.
        version: Of it; None for the newest.
        key: Sent with every request; None where the server asks for none.
        timeout: Seconds for all of a call, with its retries; None for no end.
        retries: How often a request is sent again at most, where it may help: no
            connection, or one that was lost, a full queue, a server that is not ready.
        verify: How certificates are verified; see httpx.

    Raises:
        ValueError: The address or the key cannot be one.
    """

    def __init__(
        self,
        server: str | Application = DEFAULT_ADDRESS,
        *,
        model: str | None = None,
        version: Version = None,
        key: str | None = None,
        timeout: float | None = 60.0,
        retries: int = 8,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        defaults = Defaults(model, version, timeout, retries)
        self._loop: LoopThread | None = None
        if isinstance(server, str):
            options = _options(server, key)
            wire = SyncWire(httpx.Client(verify=verify, **options))
            core = Core(wire, defaults)
            self._end = finalize(self, lambda: drive(core.close()))
        else:
            core = Core(AsyncWire(_in_process(server, key)), defaults)
            loop = LoopThread()
            self._end = finalize(self, lambda: loop.end(core.close))
            self._loop = loop
        self._core = core

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def predict(
        self,
        rows: Any,
        *,
        model: str | None = None,
        version: Version = None,
        timeout: Timeout = ...,
    ) -> Prediction:
        """Ask a model about rows, as many as there are.

        Args:
            rows: Raw features: lists, an array of NumPy or tensor of PyTorch,
                `(features,)` or `(..., features)`; a frame of pandas or polars, whose
                columns are found by name; a record `{name: number}`, a list of records,
                or columns `{name: numbers}`.
            model: That is asked, in place of the client's.
            version: Of it.
            timeout: Seconds for all of it, in place of the client's.

        Raises:
            SigmoidServeError: There is no result; the subclasses say why.
        """
        return self._run(self._core.predict(rows, model, version, timeout))

    def sigmoid(
        self, values: Any, *, dtype: str | None = None, timeout: Timeout = ...
    ) -> NDArray[Any]:
        """Compute the exact sigmoid of every element.

        Args:
            values: A number, lists, an array, a tensor, a series or a frame.
            dtype: `float16`, `bfloat16`, `float32` or `float64`; None for that of an
                array, and float32 for anything else.
            timeout: Seconds for all of it, in place of the client's.

        Returns:
            An array of the same shape; bfloat16 as float32 of the same values.

        Raises:
            SigmoidServeError: There is no result; the subclasses say why.
        """
        return self._run(self._core.sigmoid(values, dtype, timeout))

    def models(self) -> tuple[Model, ...]:
        """List the models that are served.

        Raises:
            SigmoidServeError: There is no result; the subclasses say why.
        """
        return self._run(self._core.models())

    def card(self, model: str | None = None, version: Version = None) -> dict[str, Any]:
        """Return the card of a model: features, classes, architecture, metrics.

        Args:
            model: In place of the client's.
            version: Of it; None for the newest.

        Raises:
            SigmoidServeError: There is no result; the subclasses say why.
        """
        return self._run(self._core.card(model, version))

    def ready(self) -> bool:
        """Tell whether the server can be asked; False where nothing listens."""
        return self._run(self._core.ready())

    def close(self) -> None:
        """Close all connections, and end the application if it is in this process.

        It closes itself where nobody has it any more, and at the end of the program.
        """
        self._end()

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._loop.run(work) if self._loop else drive(work)


class AsyncClient:
    """Does what `Client` does, with `await`; for any number of tasks of one loop.

    Args:
        server: See `Client`.
        model: See `Client`.
        version: See `Client`.
        key: See `Client`.
        timeout: See `Client`.
        retries: See `Client`.
        verify: See `Client`.

    Raises:
        ValueError: The address or the key cannot be one.
    """

    def __init__(
        self,
        server: str | Application = DEFAULT_ADDRESS,
        *,
        model: str | None = None,
        version: Version = None,
        key: str | None = None,
        timeout: float | None = 60.0,
        retries: int = 8,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        if isinstance(server, str):
            client = httpx.AsyncClient(verify=verify, **_options(server, key))
        else:
            client = _in_process(server, key)
        defaults = Defaults(model, version, timeout, retries)
        self._core = Core(AsyncWire(client), defaults)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def predict(
        self,
        rows: Any,
        *,
        model: str | None = None,
        version: Version = None,
        timeout: Timeout = ...,
    ) -> Prediction:
        """See `Client.predict`."""
        return await self._core.predict(rows, model, version, timeout)

    async def sigmoid(
        self, values: Any, *, dtype: str | None = None, timeout: Timeout = ...
    ) -> NDArray[Any]:
        """See `Client.sigmoid`."""
        return await self._core.sigmoid(values, dtype, timeout)

    async def models(self) -> tuple[Model, ...]:
        """See `Client.models`."""
        return await self._core.models()

    async def card(
        self, model: str | None = None, version: Version = None
    ) -> dict[str, Any]:
        """See `Client.card`."""
        return await self._core.card(model, version)

    async def ready(self) -> bool:
        """See `Client.ready`."""
        return await self._core.ready()

    async def close(self) -> None:
        """See `Client.close`."""
        await self._core.close()


def _in_process(app: Application, key: str | None) -> httpx.AsyncClient:
    if not callable(app):
        name = type(app).__name__
        raise ValueError(f"expected an address or an application, got a {name}")
    return httpx.AsyncClient(transport=InProcess(app), **_options(ADDRESS, key))


def _options(address: str, key: str | None) -> dict[str, Any]:
    """Return the options of httpx's clients.

    Raises:
        ValueError: The address or the key cannot be one.
    """
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise ValueError(
            f"expected an address, got {address[:200]!r}: {error}"
        ) from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(
            f"expected an address such as {DEFAULT_ADDRESS}, got {address[:200]!r}"
        )
    headers = {
        "User-Agent": f"sigmoid-serve-client/{installed_version('sigmoid-serve')}"
    }
    if key is not None:
        if not (key.isascii() and key.isprintable() and key.strip()):
            raise ValueError("expected a key of printable ASCII; `sigmoid-serve key`")
        headers["Authorization"] = f"Bearer {key}"
    # A proxy of the environment is not for what runs on this machine.
    return {"base_url": url, "headers": headers, "trust_env": not _is_local(url.host)}


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
