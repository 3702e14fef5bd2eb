"""Whether a server would start here: each step of the start, tried as the start does.

What was bound is closed again; the threads of what was loaded stay until the process is
ended at once.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from sigmoid_models.messages import UserError, one_line
from sigmoid_serve.configuration.settings import ServingError, Settings
from sigmoid_serve.diagnostics.port_owner import port_owner
from sigmoid_serve.engine.device import DeviceError, resolve_device
from sigmoid_serve.http.authentication import read_keys
from sigmoid_serve.monitoring.metrics import new_memory
from sigmoid_serve.registry.assembly import make_parts
from sigmoid_serve.registry.loading import LoadedVersions
from sigmoid_serve.registry.startup import require_named_models, within
from sigmoid_serve.repository.load_problems import LoadProblem
from sigmoid_serve.repository.model_repository import make_repository, read_contents
from sigmoid_serve.sockets.certificates import tls_context
from sigmoid_serve.sockets.listening import addresses, listen
from sigmoid_serve.sockets.unix_socket import is_left_over


class Check(NamedTuple):
    """What came of a step of the start.

    Attributes:
        name: What was tried.
        state: Whether the start would fail, or only goes on without something.
        finding: In a sentence.
    """

    name: str
    state: Literal["ok", "remark", "fails"]
    finding: str


def start_checks(settings: Settings, checkpoints: Sequence[Path]) -> list[Check]:
    """Try what the start does.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        checkpoints: As for `serve`.
    """
    steps = (_keys, _certificates, _address)
    checks = [_tried(step.__name__.strip("_"), step, settings) for step in steps]
    device = _tried("device", _device, settings)
    if device.state == "fails":
        return [*checks, device]
    return [*checks, device, *_models(settings, checkpoints)]


def would_start(checks: Sequence[Check]) -> bool:
    """Whether the start would go through."""
    return all(check.state != "fails" for check in checks)


def _tried(name: str, step: Callable[[Settings], str], settings: Settings) -> Check:
    try:
        return Check(name, "ok", step(settings))
    except (UserError, DeviceError) as error:
        return Check(name, "fails", one_line(str(error)))


def _keys(settings: Settings) -> str:
    path = settings.api_keys_file
    if path is None:
        return "no key is needed"
    keys = read_keys(path)
    return f"{len(keys)} in the file, {sum(key.is_admin for key in keys)} of admins"


def _certificates(settings: Settings) -> str:
    if tls_context(settings) is None:
        return "no TLS"
    return "they and their key fit together"


def _address(settings: Settings) -> str:
    if settings.uds:
        setting = settings.spelling("uds")
        is_there = is_left_over(settings.uds, setting)
        return "a socket that nobody listens on is replaced" if is_there else "free"
    try:
        listeners = listen(settings)
    except UserError as error:
        owner = port_owner(settings.port)
        raise ServingError(f"{error}{owner and f', by {owner}'}") from None
    places = addresses(settings, listeners)
    for listener in listeners:
        listener.close()
    return f"{', '.join(places)} is free"


def _device(settings: Settings) -> str:
    return str(resolve_device(settings.device))


def _models(settings: Settings, checkpoints: Sequence[Path]) -> Iterator[Check]:
    """Load all models, and say of each version, and of what is left out, how it is."""
    most = settings.max_checkpoint_bytes
    repository = make_repository(checkpoints, settings.models, most)
    seconds = settings.load_seconds
    try:
        files, problems = within(seconds, repository.scan)
        seconds *= max(1, len(files))
        contents, unread = within(seconds, read_contents, files)
        loader = make_parts(settings, new_memory(1), 0).loader
        loaded: LoadedVersions = within(seconds, loader.load, contents, {})
        problems = [*problems, *unread, *loaded.problems]
        names = {version.name for version in loaded.versions}
        require_named_models(files, names, problems)
    except UserError as error:
        yield Check("models", "fails", one_line(str(error)))
        return
    for version in loaded.versions:
        name = f"model {version.name} {version.number}"
        state: Literal["ok", "remark"] = "remark" if version.fault else "ok"
        yield Check(name, state, version.fault or "ready")
    yield from map(_left_out, problems)


def _left_out(problem: LoadProblem) -> Check:
    state: Literal["ok", "remark"] = "ok" if problem.severity == "quiet" else "remark"
    return Check(f"model {problem.label}", state, f"left out: {problem.sentence}")
