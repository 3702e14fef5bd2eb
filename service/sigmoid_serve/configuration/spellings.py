"""Settings with one right spelling: functions, hosts, origins, prefixes of paths."""

import re
from ipaddress import IPv6Address
from typing import Final

from pydantic_core import PydanticCustomError

from sigmoid_models.activation import NAMES, ActivationError, read_activation
from sigmoid_serve.configuration.origins import origin_error
from sigmoid_serve.errors import shown

# Clients and proxies take dots out of a path before they send it.
_ROOT_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*")
_NO_HOST: Final = re.compile(r"[\s/:@*\[\]]")


def checked_activation(name: str) -> str:
    """Return a function between layers as cards name it."""
    try:
        return read_activation(name)
    except ActivationError:
        raise PydanticCustomError(
            "activation",
            "expected {names}, leaky_relu:SLOPE or gelu:tanh, or one of them for each "
            "hidden layer with , between",
            {"names": ", ".join(NAMES)},
        ) from None


def bare_host(value: str) -> str:
    """Return an address or a name without the brackets that it has in a URL."""
    bare = value[1:-1] if value[:1] + value[-1:] == "[]" else value
    try:
        return str(IPv6Address(bare))
    except ValueError:
        if not _NO_HOST.search(value):
            return value
    raise PydanticCustomError(
        "host",
        "expected an address such as 0.0.0.0, :: or ::1, or a name, without scheme "
        "and port (SIGMOID_PORT)",
    )


def checked_origin(entry: str) -> str:
    """Return an origin that a browser may send."""
    error = origin_error(entry)
    if error:
        raise PydanticCustomError("origin", "{error}", {"error": shown(error)})
    return entry


def checked_root_path(value: str) -> str:
    """Return a prefix of paths that a request may have."""
    if _ROOT_PATH.fullmatch(value):
        return value
    mended = "".join(f"/{part}" for part in value.split("/") if part)
    if not mended or not _ROOT_PATH.fullmatch(mended):
        mended = "/models-api"
    raise PydanticCustomError(
        "root_path",
        "expected a / before each of its parts and none at the end, parts of letters, "
        "digits and ._~-, such as {mended}",
        {"mended": shown(mended)},
    )
