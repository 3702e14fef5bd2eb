"""The word that the service listens: said once, when it is known that it will serve.

A service that cannot load what was named ends without it. Where loading takes long the
address is told meanwhile, as the probes are answered there already. A terminal is shown
what is served, in eight lines at most, and a request that works as it is printed.
"""

import logging
from collections.abc import Sequence
from importlib.metadata import version
from shlex import quote
from socket import socket
from threading import Lock, Timer
from typing import Final, NamedTuple

from sigmoid_models.card import ModelCard
from sigmoid_models.messages import one_line
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.errors import shown
from sigmoid_serve.interrupts import STOPPED
from sigmoid_serve.monitoring.line_writer import line_writer
from sigmoid_serve.monitoring.logs import end_of_start, is_for_terminal
from sigmoid_serve.registry.assembly import threads_of
from sigmoid_serve.registry.registry import ModelRegistry, ModelVersion
from sigmoid_serve.sockets.listening import addresses

LONG_SECONDS: Final = 5.0
MOST_LINES: Final = 8

_MOST_MODELS: Final = 3
# Beside the lines of models: device, address, request, how to stop.
_OTHER_LINES: Final = 4
_MOST_CLASSES: Final = 4
# A longer row would fill the terminal; the request then makes a row of zeros.
_ROW_CHARACTERS: Final = 400
_TO_TYPE: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}

logger = logging.getLogger("sigmoid_serve")


class Served(NamedTuple):
    """What a process serves, in words, as it is told from a worker to the supervisor.

    Attributes:
        models: A line for each of the first models, the default model first.
        total: How many models there are.
        device: On which they compute.
        features: Of the default model; 0 where it must not answer.
        row: A row of its features as JSON; empty if it would be long.
        notes: What the start had to remark, a sentence each.
    """

    models: tuple[str, ...]
    total: int
    device: str
    features: int
    row: str
    notes: tuple[str, ...]


class Announcement:
    """Says where the service listens, in the log or on a terminal.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        listeners: The sockets on which it listens.
    """

    def __init__(self, settings: Settings, listeners: Sequence[socket]) -> None:
        self._settings = settings
        self._listeners = list(listeners)
        self._places = addresses(settings, listeners)
        self._is_made = False
        self._lock = Lock()

    def expect_models(self) -> None:
        """Tell the addresses if the models are still being loaded after some time."""
        timer = Timer(
            LONG_SECONDS, self._make, ("; the models are still being loaded",)
        )
        timer.daemon = True
        timer.start()

    def models_are_loaded(self, served: Served | None) -> None:
        """Tell the addresses, and on a terminal what is served, and how to ask it."""
        if served is None or not is_for_terminal(self._settings.log_format):
            self._make()
            return
        served = served._replace(notes=(*end_of_start(), *served.notes))
        with self._lock:
            told = len(self._places) if self._is_made else 0
            self._is_made = True
        left = MOST_LINES - told
        lines = greeting(self._settings, self._listeners, served, left)
        line_writer().write("".join(f"{line}\n" for line in lines).encode())

    def _make(self, remark: str = "") -> None:
        with self._lock:
            if self._is_made:
                return
            self._is_made = True
        is_quiet = remark and is_for_terminal(self._settings.log_format)
        for place in self._places:
            if is_quiet:
                line_writer().write(f"listening on {place}{remark}\n".encode())
            else:
                logger.info("listening on %s%s", place, remark)


def say_goodbye(settings: Settings) -> None:
    """Say on a terminal that the service has ended, as it was told to."""
    if is_for_terminal(settings.log_format):
        line_writer().write(STOPPED)


def describe_served(registry: ModelRegistry) -> Served:
    """Say what this process serves, now that its models are loaded."""
    models = registry.models
    # The default one first, unless it was unloaded before this process started.
    names = sorted(models, key=lambda name: name != registry.default)
    newest = [next(iter(models[name].values())) for name in names]
    width = max(len(_title(each)) for each in newest[:_MOST_MODELS])
    first = newest[0]
    return Served(
        models=tuple(
            f"{_title(each):{width}}  {_description(each)}"
            for each in newest[:_MOST_MODELS]
        ),
        total=len(newest),
        device=str(first.engine.device),
        features=0 if first.fault else first.engine.card.architecture.features,
        row=_row(first.engine.card),
        notes=end_of_start(),
    )


def greeting(
    settings: Settings,
    listeners: Sequence[socket],
    served: Served,
    most: int = MOST_LINES,
) -> list[str]:
    """Write the lines.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        listeners: The sockets on which the service listens.
        served: What it serves.
        most: How many lines to write at most.
    """
    threads = _counted(threads_of(settings), "thread")
    workers = settings.workers
    of_each = "" if workers == 1 else f" in each of {workers} workers"
    models = list(served.models[: max(1, most - _OTHER_LINES - 1)])
    if served.total > len(models):
        models[-1] = f"and {served.total - len(models) + 1} more: GET /models"
    url = _url(settings, listeners)
    where = f"{url}  docs {url}/docs"
    if settings.uds:
        where = f"{url} at unix:{one_line(str(settings.uds))}"
    lines = [
        f"sigmoid-serve {version('sigmoid-serve')} on {served.device}, "
        f"{threads}{of_each}",
        *(f"  {model}" for model in models),
        f"  URL   {where}",
        f"  try   {_request(settings, url, served)}",
        "  stop  Ctrl-C",
    ]
    return [*lines, *_notes(served.notes, most - len(lines))]


def _notes(notes: Sequence[str], most: int) -> list[str]:
    shown_notes = [f"  note  {one_line(note)}" for note in notes[:most]]
    if len(notes) > most and shown_notes:
        shown_notes[-1] += f" (and {len(notes) - most} more: sigmoid-serve doctor)"
    return shown_notes


def _title(version: ModelVersion) -> str:
    return f"{version.name} {shown(version.number)}"


def _description(version: ModelVersion) -> str:
    if version.fault:
        return f"not ready: {version.fault}"
    card = version.engine.card
    features = _counted(card.architecture.features, "feature")
    return f"{features} to {_classes(card)}"


def _classes(card: ModelCard) -> str:
    if card.classes and len(card.classes) <= _MOST_CLASSES:
        return " or ".join(shown(name) for name in card.classes)
    if card.task == "binary":
        return "one of 2 classes"
    kind = "labels" if card.task == "multilabel" else "classes"
    return f"{card.architecture.outputs} {kind}"


def _row(card: ModelCard) -> str:
    """Write a row that the model knows, else one of zeros, if that is not long."""
    zeros = (0.0,) * card.architecture.features
    rows = card.golden.inputs if card.golden else [zeros]
    row = min((",".join(map(_number, row)) for row in rows), key=len)
    return row if len(row) <= _ROW_CHARACTERS else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e9 else repr(value)


def _url(settings: Settings, listeners: Sequence[socket]) -> str:
    scheme = "https" if settings.tls_cert_file else "http"
    if settings.uds:
        return f"{scheme}://localhost{settings.root_path}"
    host, port = listeners[0].getsockname()[:2]
    host = f"[{host}]" if ":" in host and host not in _TO_TYPE else host
    return f"{scheme}://{_TO_TYPE.get(host, host)}:{port}{settings.root_path}"


def _request(settings: Settings, url: str, served: Served) -> str:
    """Write a command that asks the default model, or else for a sigmoid."""
    options = ["-H 'Content-Type: application/json'"]
    if settings.api_keys_file:
        options.append('-H "Authorization: Bearer $KEY"')
    if settings.tls_cert_file:
        options.append("-k")
    if settings.tls_client_ca_file:
        options.append("--cert CLIENT.pem")
    if settings.uds:
        options.append(f"--unix-socket {quote(str(settings.uds))}")
    made = ""
    if not served.features:
        route, data = "sigmoid", "'{\"inputs\":[-1,0,1]}'"
    elif served.row:
        route, data = "predict", f"'{{\"inputs\":[{served.row}]}}'"
    else:
        rows = f'json.dumps({{"inputs": [0] * {served.features}}})'
        route, data, made = "predict", "@-", f"python3 -c 'import json; print({rows})'"
    pipe = f"{made} | " if made else ""
    return f"{pipe}curl -s {quote(f'{url}/{route}')} {' '.join(options)} -d {data}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
