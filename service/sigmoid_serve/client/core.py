"""What a client does, once for both: over which wire it goes, it does not know."""

from collections.abc import Mapping
from functools import partial
from math import inf
from types import EllipsisType
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from numpy.typing import NDArray

from sigmoid_serve.client.answers import (
    Model,
    Prediction,
    join_arrays,
    join_predictions,
    read_bfloat16,
    read_document,
    read_models,
    read_npy,
    read_prediction,
)
from sigmoid_serve.client.errors import InvalidInputError, SigmoidServeError
from sigmoid_serve.client.frames import Columns, columns_of
from sigmoid_serve.client.inputs import (
    JSON,
    NPY,
    Body,
    Inputs,
    elements_of,
    rows_of,
    rows_of_columns,
)
from sigmoid_serve.client.retrying import Call, answered
from sigmoid_serve.client.splitting import Limits, Splitting
from sigmoid_serve.client.text import write_json
from sigmoid_serve.client.wires import Request, Wire

Timeout = float | EllipsisType | None
"""Seconds for all of a call; None for no end, `...` for those of the client."""

Version = str | int | None

# A server that is ready says so at once.
_READY_SECONDS: Final = 5.0


class Defaults(NamedTuple):
    """What a call takes where it says nothing else.

    Attributes:
        model: That is asked; None for the server's default.
        version: Of it; None for the newest.
        timeout: Seconds for all of a call; None for no end.
        retries: How often a request is sent again at most.
    """

    model: str | None
    version: Version
    timeout: float | None
    retries: int


class Core:
    """All calls, over one wire.

    Args:
        wire: To the server.
        defaults: Of calls.
    """

    def __init__(self, wire: Wire, defaults: Defaults) -> None:
        self._wire = wire
        self._defaults = defaults
        self._limits: Limits | None = None

    async def predict(
        self, rows: Any, model: str | None, version: Version, timeout: Timeout
    ) -> Prediction:
        """See `Client.predict`."""
        call = self._call(timeout)
        columns = columns_of(rows)
        if columns is None:
            inputs = rows_of(rows)
            asking = _Asking(self, call, await self._path(model, version, call))
        else:
            card = await self._card(model, version, call)
            asking = _Asking(self, call, _version_path(card["name"], card["version"]))
            inputs = await self._arranged(columns, card, asking)
        limits = partial(self._get_limits, call)
        splitting = Splitting(inputs, self._wire, call, asking.ask, limits)
        return join_predictions(await splitting.all(), inputs.lead)

    async def sigmoid(
        self, values: Any, dtype: str | None, timeout: Timeout
    ) -> NDArray[Any]:
        """See `Client.sigmoid`."""
        call = self._call(timeout)
        inputs = elements_of(values, dtype)
        is_short = dtype == "bfloat16"

        async def ask(body: Body) -> tuple[NDArray[Any], int]:
            content = await self.post("sigmoid", body, JSON if is_short else NPY, call)
            read = read_bfloat16 if is_short else read_npy
            return read(content), len(content)

        async def limits(fresh: bool) -> Limits:
            found = await self._get_limits(call, fresh)
            return {name: found[name] for name in found if name != "SIGMOID_MAX_ROWS"}

        splitting = Splitting(inputs, self._wire, call, ask, limits)
        return join_arrays(await splitting.all(), inputs.lead)

    async def models(self) -> tuple[Model, ...]:
        """See `Client.models`."""
        return read_models(await self._get("models", self._call(...)))

    async def card(self, model: str | None, version: Version) -> dict[str, Any]:
        """See `Client.card`."""
        return await self._card(model, version, self._call(...))

    async def ready(self) -> bool:
        """See `Client.ready`."""
        call = Call(min(_READY_SECONDS, self._defaults.timeout or inf))
        try:
            await answered(self._wire, Request("GET", "readyz"), call, retries=0)
        except SigmoidServeError:
            return False
        return True

    async def close(self) -> None:
        """Close all connections."""
        await self._wire.close()

    async def post(self, path: str, body: Body, accept: str, call: Call) -> bytes:
        """Send a body, and return that of the answer."""
        headers = {"Content-Type": body.media, "Accept": accept}
        request = Request("POST", path, body.content, headers)
        reply = await answered(self._wire, request, call, self._defaults.retries)
        return reply.content

    async def _get(self, path: str, call: Call) -> dict[str, Any]:
        request = Request("GET", path)
        reply = await answered(self._wire, request, call, self._defaults.retries)
        return read_document(reply.content)

    def _call(self, timeout: Timeout) -> Call:
        return Call(self._defaults.timeout if timeout is ... else timeout)

    def _chosen(
        self, model: str | None, version: Version
    ) -> tuple[str | None, Version]:
        """Choose a model; a version named for all calls is one of the model of all."""
        if model is not None:
            return model, version
        return (
            self._defaults.model,
            self._defaults.version if version is None else version,
        )

    async def _path(self, model: str | None, version: Version, call: Call) -> str:
        """Return the path at which rows are posted."""
        model, version = self._chosen(model, version)
        if version is not None:
            return _version_path(model or await self._default(call), version)
        return "" if model is None else f"models/{_token(model)}/"

    async def _default(self, call: Call) -> str:
        return str((await self._get("models", call)).get("default"))

    async def _card(
        self, model: str | None, version: Version, call: Call
    ) -> dict[str, Any]:
        model, version = self._chosen(model, version)
        model = model or await self._default(call)
        path = f"models/{_token(model)}" if version is None else ""
        return await self._get(path or _version_path(model, version)[:-1], call)

    async def _get_limits(self, call: Call, fresh: bool) -> Limits:
        """Ask once for the limits, and again after an answer that names one."""
        if self._limits is None or fresh:
            try:
                self._limits = await self._get("limits", call)
            except SigmoidServeError:
                # A proxy may hide them: what is too long is found out as well.
                self._limits = {}
        return self._limits

    async def _arranged(
        self, columns: Columns, card: Mapping[str, Any], asking: "_Asking"
    ) -> Inputs:
        """Bring columns into the order of the model's features."""
        names = card.get("feature_names")
        if names is None:
            names = [str(name) for name, _ in columns]
        given = {str(name): column for name, column in columns}
        missing = set(names) - given.keys()
        if missing or not columns or len(given) > len(names):
            # The server says what is missing or unknown, or passes it over.
            record = write_json([dict.fromkeys(given, 0)])
            body = Body(b'{"inputs":' + record + b"}", JSON)
            try:
                await asking.ask(body)
            except InvalidInputError as error:
                if missing or not columns or error.code == "features":
                    raise
        return rows_of_columns([given[name] for name in names])


class _Asking:
    """Asks for predictions, all of them of the version that answers first.

    Args:
        core: What sends.
        call: Whose time it takes.
        path: Of the model, or of its version.
    """

    def __init__(self, core: Core, call: Call, path: str) -> None:
        self._core = core
        self._call = call
        self._path = path

    async def ask(self, body: Body) -> tuple[Prediction, int]:
        """Send rows; return the answer, and its length."""
        path = f"{self._path}predict"
        content = await self._core.post(path, body, JSON, self._call)
        found = read_prediction(content)
        self._path = _version_path(found.model, found.version)
        return found, len(content)


def _version_path(model: str, version: Version) -> str:
    return f"models/{_token(model)}/versions/{_token(str(version))}/"


def _token(name: str) -> str:
    """Write a name as one step of a path, whatever it is."""
    # These two would not be a step, but a way up.
    return "%2E" * len(name) if name in (".", "..") else quote(name, safe="")
