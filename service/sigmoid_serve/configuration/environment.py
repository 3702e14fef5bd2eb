"""The environment: which variables are settings, and which only look like one.

A setting is the variable `SIGMOID_` + its name in capitals. An empty variable counts as
not set. Only the standard library is imported: the health check of a container reads
the environment too, every few seconds.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

PREFIX: Final = "SIGMOID_"

PLATFORM_PORT: Final = "PORT"
"""The variable in which Cloud Run, Heroku and Render name the port."""

# Kubernetes sets variables for each Service, by its name. For a Service that is named
# `sigmoid` they begin like settings. Only SIGMOID_PORT is a setting too; the value from
# Kubernetes is then a URL, not a number.
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_LINK: Final = re.compile(r"(tcp|udp|sctp)://\S+:\d+")
_LINK_NAMES: Final = re.compile(
    r".+_(SERVICE_HOST|SERVICE_PORT(_\w+)?"
    r"|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)


class Given(NamedTuple):
    """What a setting was set to.

    Attributes:
        value: As it was given.
        origin: The variable or the option, as it is typed.
    """

    value: Any
    origin: str


def variable(name: str) -> str:
    """Return the variable of the environment that a setting is read from."""
    return f"{PREFIX}{name}".upper()


def option(name: str) -> str:
    """Return the option of the command line that stands for a setting."""
    return f"--{name.replace('_', '-')}"


def given_settings(
    names: Collection[str],
    environment: Mapping[str, str],
    options: Mapping[str, Any],
) -> dict[str, Given]:
    """Gather the settings that are set, by name; an option wins over a variable.

    Args:
        names: The names of all settings.
        environment: The environment of the process.
        options: Options of the command line, by the names of the settings.
    """
    found = {name: Given(value, option(name)) for name, value in options.items()}
    for name in names:
        value = environment.get(variable(name))
        if value and name not in found and not _is_link(variable(name), value):
            found[name] = Given(value, variable(name))
    port = environment.get(PLATFORM_PORT)
    if port and not {"port", "uds"} & found.keys():
        found["port"] = Given(port, PLATFORM_PORT)
    return found


def warnings(names: Collection[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Say, a sentence each, which variables look like settings and are not read.

    Args:
        names: The names of all settings.
        environment: The environment of the process.
    """
    known = {variable(name) for name in names}
    for name, value in sorted(environment.items()):
        if not value or not name.upper().startswith(PREFIX):
            continue
        if name in known:
            if _is_link(name, value):
                yield (
                    f"{name} is {value[:64]}, as Kubernetes sets it for a Service "
                    f"named {_service(name)}, and is passed over; enableServiceLinks: "
                    "false in the pod's spec keeps such variables away"
                )
        elif not (_LINK_NAMES.fullmatch(name) or _is_link(name, value)):
            hint = _mended(name, known)
            yield f"{_bounded(name)} is no setting and is ignored; {hint}"


def _is_link(name: str, value: str) -> bool:
    return name.endswith("_PORT") and _LINK.fullmatch(value) is not None


def _service(name: str) -> str:
    return name.removesuffix("_PORT").lower().replace("_", "-")


def _mended(name: str, known: Collection[str]) -> str:
    # The prefix, which all have, would make all alike.
    names = [one.removeprefix(PREFIX) for one in known]
    near = get_close_matches(name.upper().removeprefix(PREFIX), names, 1)
    if near:
        return f"did you mean {PREFIX}{near[0]}?"
    return "sigmoid-serve serve --help shows all settings"


def _bounded(name: str) -> str:
    return name if len(name) <= 128 and name.isprintable() else f"{ascii(name)[1:127]}…"
